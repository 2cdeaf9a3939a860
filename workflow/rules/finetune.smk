# Supervised runs: one job per benchmark, model and seed.
# Needs molecule tables, splits, graph stores and encoders; makes results/runs/BENCHMARK/MODEL/seed-SEED.

MACHINES = [name for name in settings.models if is_svm(name)]
BASELINES = [name for name in settings.models if name in FINGERPRINT_MODELS]
FROZEN = [name for name in MACHINES if pretrained_of(name)]
NETWORKS = [name for name in settings.models if name not in (*BASELINES, *FROZEN)]
TEXT = (".csv", ".tsv", ".txt", ".smi", ".smiles")


def is_sampled(name):
    """Return whether a support vector machine may be fitted to a random sample of the training molecules."""
    limit, most = settings.baselines.svm_training_limit, settings.benchmark_molecules or math.inf
    if name in OWN:
        return most > limit and has_more_lines(OWN[name].table, limit)
    return 0.8 * min(catalogue.benchmarks[name].rows or math.inf, most) > limit


def has_more_lines(path, limit):
    """Return whether a table may have more than `limit` rows: a text with more lines, or any other file, such as a compressed one."""
    if not path.endswith(TEXT):
        return True
    with open(path, encoding="latin-1") as file:  # takes any bytes, and any line ends
        return sum(1 for _ in itertools.islice(file, limit + 2)) > limit + 1


def seeds_of(name, model):
    """Return the seeds of a model on a benchmark: one if nothing in it is random, given its encoder."""
    seeds = settings.seeds_of.get(name, settings.seeds)
    return seeds[:1] if model in MACHINES and not is_sampled(name) else seeds


# Folder of each run -> its benchmark.
RUNS = {
    f"{RESULTS}/runs/{part}/{model}/seed-{seed}": name
    for part, name in BENCHMARK_OF.items()
    for model in settings.models
    for seed in seeds_of(name, model)
}


wildcard_constraints:
    benchmark="|".join(BENCHMARK_OF),
    network="|".join(NETWORKS) or "none",
    baseline="|".join(BASELINES) or "none",
    frozen="|".join(FROZEN) or "none",
    seed=r"\d+",


def encoder_of(model):
    """Return the file of the pre-trained encoder of a model, if it uses one."""
    return f"{RESULTS}/pretrain/{network_of(model).lower()}/encoder.safetensors" if pretrained_of(model) else []


def start_of(wildcards):
    """Return the options for the start of a network: a pre-trained encoder, or a new encoder."""
    encoder = encoder_of(wildcards.network)
    if encoder:
        return ["--encoder", encoder, *encoder_class(wildcards.network)]
    return ["--from-scratch", settings.encoder_of(wildcards.network)]


def task_of(wildcards):
    """Return the options for the name, task and metric of a benchmark."""
    name = BENCHMARK_OF[wildcards.benchmark]
    return f"--benchmark {name} --task {benchmarks[name].task} --metric {benchmarks[name].metric}"


def search_of(wildcards):
    """Return the file of the settings that a search selects, if there is a search."""
    return (
        f"{RESULTS}/runs/{wildcards.benchmark}/{wildcards.network}/search/chosen.yaml" if settings.search_trials else []
    )


rule finetune:
    """Train a pre-trained or new encoder on a benchmark and predict the test molecules."""
    input:
        molecules=lambda wildcards: molecules_of(wildcards.benchmark),
        graphs=lambda wildcards: graphs_of(wildcards.benchmark),
        split=lambda wildcards: split_of(wildcards.benchmark),
        encoder=lambda wildcards: encoder_of(wildcards.network),
        chosen=search_of,
    output:
        predictions=f"{RESULTS}/runs/{{benchmark}}/{{network}}/seed-{{seed}}/predictions.csv",
        metrics=f"{RESULTS}/runs/{{benchmark}}/{{network}}/seed-{{seed}}/metrics.json",
        history=f"{RESULTS}/runs/{{benchmark}}/{{network}}/seed-{{seed}}/history.csv",
        model=f"{RESULTS}/runs/{{benchmark}}/{{network}}/seed-{{seed}}/model.safetensors",
    log:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{network}}/seed-{{seed}}.log",
    benchmark:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{network}}/seed-{{seed}}.tsv"
    threads: settings.finetune.threads
    resources:
        gpu=settings.run.finetune_gpus,
        mem_mb=2000,
        runtime=24 * 60,
    params:
        **code_of("molclr.training.finetune"),
        own_code=lambda wildcards: own_code(settings.encoder_of(wildcards.network)),
        task=task_of,
        start=start_of,
        shape=settings.encoder.shape.model_dump_json(),
        settings=lambda wildcards: search_of(wildcards) or settings.finetune.model_dump_json(),
        run="--seed {seed}",
    shell:
        "molclr finetune {input.molecules:q} --graphs {input.graphs:q} --split {input.split:q}"
        " {params.task} --model {wildcards.network} {params.run}"
        " {params.start:q} --shape {params.shape:q} --settings {params.settings:q}"
        ' --output "$(dirname {output.metrics:q})" 2> {log:q}'


use rule finetune as trial with:
    input:
        molecules=lambda wildcards: molecules_of(wildcards.benchmark),
        graphs=lambda wildcards: graphs_of(wildcards.benchmark),
        split=lambda wildcards: split_of(wildcards.benchmark),
        encoder=lambda wildcards: encoder_of(wildcards.network),
    output:
        metrics=f"{RESULTS}/runs/{{benchmark}}/{{network}}/search/trial-{{trial}}/metrics.json",
        model=f"{RESULTS}/runs/{{benchmark}}/{{network}}/search/trial-{{trial}}/model.safetensors",
    log:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{network}}/search/trial-{{trial}}.log",
    benchmark:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{network}}/search/trial-{{trial}}.tsv"
    params:
        **code_of("molclr.training.finetune", "molclr.training.random_search"),
        own_code=lambda wildcards: own_code(settings.encoder_of(wildcards.network)),
        task=task_of,
        start=start_of,
        shape=settings.encoder.shape.model_dump_json(),
        settings=settings.finetune.model_dump_json(),
        run="--seed 0 --trial {trial}",


rule choose:
    """Select the settings with the best validation score among the trials of a network on a benchmark."""
    input:
        metrics=expand(
            f"{RESULTS}/runs/{{{{benchmark}}}}/{{{{network}}}}/search/trial-{{trial}}/metrics.json",
            trial=range(settings.search_trials or 0),
        ),
    output:
        chosen=f"{RESULTS}/runs/{{benchmark}}/{{network}}/search/chosen.yaml",
        trials=f"{RESULTS}/runs/{{benchmark}}/{{network}}/search/trials.csv",
    log:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{network}}/search/chosen.log",
    benchmark:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{network}}/search/chosen.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.training.random_search"),
        folders=lambda wildcards, input: [os.path.dirname(path) for path in input.metrics],
    shell:
        "molclr choose {params.folders:q} --chosen {output.chosen:q} --trials {output.trials:q} 2> {log:q}"


rule baseline:
    """Fit a random forest or support vector machine on ECFP4 counts."""
    input:
        molecules=lambda wildcards: molecules_of(wildcards.benchmark),
        split=lambda wildcards: split_of(wildcards.benchmark),
    output:
        predictions=f"{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}/predictions.csv",
        metrics=f"{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}/metrics.json",
    log:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}.log",
    benchmark:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}.tsv"
    threads: settings.run.forest_threads
    resources:
        mem_mb=4000,
        runtime=24 * 60,
    params:
        **code_of("molclr.training.baselines"),
        task=task_of,
        model="{baseline}",
        settings=lambda wildcards: settings.baselines.model_dump_json(
            include={"svm_training_limit" if is_svm(wildcards.baseline) else "trees"}
        ),
        encoder=[],
    shell:
        "molclr baseline {input.molecules:q} --split {input.split:q}"
        " {params.task} --model {params.model} --seed {wildcards.seed} {params.encoder:q}"
        " --settings {params.settings:q} --threads {threads}"
        ' --output "$(dirname {output.metrics:q})" 2> {log:q}'


use rule baseline as frozen with:
    input:
        molecules=lambda wildcards: molecules_of(wildcards.benchmark),
        split=lambda wildcards: split_of(wildcards.benchmark),
        graphs=lambda wildcards: graphs_of(wildcards.benchmark),
        encoder=lambda wildcards: encoder_of(wildcards.frozen),
    output:
        predictions=f"{RESULTS}/runs/{{benchmark}}/{{frozen}}/seed-{{seed}}/predictions.csv",
        metrics=f"{RESULTS}/runs/{{benchmark}}/{{frozen}}/seed-{{seed}}/metrics.json",
    log:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{frozen}}/seed-{{seed}}.log",
    benchmark:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{frozen}}/seed-{{seed}}.tsv"
    params:
        **code_of("molclr.training.baselines", "molclr.training.embed"),
        own_code=lambda wildcards: own_code(settings.encoder_of(wildcards.frozen)),
        task=task_of,
        model="{frozen}",
        settings=settings.baselines.model_dump_json(include={"svm_training_limit"}),
        encoder=lambda wildcards, input: [
            *("--encoder", input.encoder, "--graphs", input.graphs),
            *encoder_class(wildcards.frozen),
        ],


rule all_finetune:
    """Make all supervised runs, the outputs of the stage `finetune` in dvc.yaml."""
    input:
        expand("{run}/metrics.json", run=RUNS),
