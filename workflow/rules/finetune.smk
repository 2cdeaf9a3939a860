# Supervised runs: one job a benchmark, model and seed.
# Needs molecule tables, splits, graph stores and encoders; makes results/runs/BENCHMARK/MODEL/seed-SEED.

BASELINES = [name for name in settings.models if name in ("RF", "SVM")]
NETWORKS = [name for name in settings.models if name not in BASELINES]


wildcard_constraints:
    benchmark="|".join(benchmarks),
    network="|".join(NETWORKS) or "none",
    baseline="|".join(BASELINES) or "none",
    seed=r"\d+",


def encoder_of(wildcards):
    """The pre-trained encoder of a model, if it is one that has been pre-trained."""
    name = wildcards.network.removeprefix("MolCLR_").lower()
    return f"{RESULTS}/pretrain/{name}/encoder.safetensors" if wildcards.network.startswith("MolCLR_") else []


def start_of(wildcards):
    """What a model starts from, as an option: a pre-trained encoder, or a new one of its kind."""
    encoder = encoder_of(wildcards)
    return ["--encoder", encoder] if encoder else ["--from-scratch", wildcards.network.lower()]


def task_of(wildcards):
    """Task and metric of a benchmark, as options."""
    benchmark = benchmarks[wildcards.benchmark]
    return f"--task {benchmark.task} --metric {benchmark.metric}"


rule finetune:
    """Train a pre-trained encoder, or a new one, on a benchmark and predict its test molecules."""
    input:
        molecules=lambda wildcards: f"data/molecules/{BENCHMARK_TABLES[wildcards.benchmark]}.parquet",
        graphs=lambda wildcards: f"data/graphs/{BENCHMARK_TABLES[wildcards.benchmark]}.safetensors",
        split=lambda wildcards: split_of(wildcards.benchmark),
        encoder=encoder_of,
        code=source_files("training.finetune"),
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
        gpu=settings.finetune.gpus,
        mem_mb=2000,
        runtime=24 * 60,
    params:
        task=task_of,
        start=start_of,
        shape=settings.encoder.model_dump_json(),
        settings=settings.finetune.model_dump_json(),
    shell:
        "molclr finetune {input.molecules:q} --graphs {input.graphs:q} --split {input.split:q}"
        " --benchmark {wildcards.benchmark} --model {wildcards.network} --seed {wildcards.seed} {params.task}"
        " {params.start:q} --shape {params.shape:q} --settings {params.settings:q}"
        ' --folder "$(dirname {output.metrics:q})" 2> {log:q}'


rule baseline:
    """Random forest or support vector machine on ECFP4 counts."""
    input:
        molecules=lambda wildcards: f"data/molecules/{BENCHMARK_TABLES[wildcards.benchmark]}.parquet",
        split=lambda wildcards: split_of(wildcards.benchmark),
        code=source_files("training.baselines"),
    output:
        predictions=f"{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}/predictions.csv",
        metrics=f"{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}/metrics.json",
    log:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}.log",
    benchmark:
        f"logs/{RESULTS}/runs/{{benchmark}}/{{baseline}}/seed-{{seed}}.tsv"
    threads: settings.baselines.threads
    resources:
        mem_mb=4000,
        runtime=24 * 60,
    params:
        task=task_of,
        settings=settings.baselines.model_dump_json(),
    shell:
        "molclr baseline {input.molecules:q} --split {input.split:q}"
        " --benchmark {wildcards.benchmark} --model {wildcards.baseline} --seed {wildcards.seed} {params.task}"
        " --settings {params.settings:q} --threads {threads}"
        ' --folder "$(dirname {output.metrics:q})" 2> {log:q}'
