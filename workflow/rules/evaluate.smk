# Evaluation: tables, figures and maps as functions of the files that training wrote.
# Needs metrics, histories, embeddings and encoders; makes results/tables, results/figures and results/maps.


def runs_of(task, file):
    """List a file of all runs on the benchmarks of a task."""
    return [f"{run}/{file}" for run, name in RUNS.items() if benchmarks[name].task == task]


def metrics_of(models):
    """Return the metrics.json of all runs of models with bash braces, because a command may have at most 128 KiB."""
    paths = []
    for name in benchmarks:
        for seeds in {tuple(seeds_of(name, model)): None for model in models}:
            same = [model for model in models if tuple(seeds_of(name, model)) == seeds]
            paths.append(f"{RESULTS}/runs/{braces(parts_of(name))}/{braces(same)}/seed-{braces(seeds)}/metrics.json")
    return " ".join(paths)


def braces(names):
    """Return the brace expansion of `names` in bash."""
    names = [str(name) for name in names]
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"


TABLES = expand(
    f"{RESULTS}/tables/{{task}}{{form}}",
    task=["classification", "regression"],
    form=[".csv", ".json", ".md", ".tex", ".html", "_scores.csv"],
)
TABLES += [f"{RESULTS}/tables/{name}" for name in ("configuration.yaml", "predictions.csv.gz", "datasets.csv")]
if ENCODERS:
    TABLES.append(f"{RESULTS}/tables/leakage.csv")
FIGURE_NAMES = ["benchmarks"]
if ENCODERS:
    FIGURE_NAMES += ["pretraining", *expand("{kind}_{encoder}", kind=["tsne", "retrieval"], encoder=ENCODERS)]
if NETWORKS:
    FIGURE_NAMES.append("finetuning")
FIGURES = expand(f"{RESULTS}/figures/{{name}}.{{form}}", name=FIGURE_NAMES, form=["png", "svg", "pdf", "txt"])
FIGURES += expand(f"{RESULTS}/figures/tsne_{{encoder}}.csv", encoder=ENCODERS)
MOST_MAPPED = 600  # molecules of each benchmark
MAPS = expand(f"{RESULTS}/maps/{{encoder}}.csv", encoder=ENCODERS)
MAPS += expand(f"{RESULTS}/maps/{{encoder}}/{{name}}.csv", encoder=STARTS, name=benchmarks)


def all_runs(file):
    """List a file of all runs."""
    return [path for task in ("classification", "regression") for path in runs_of(task, file)]


def tables_of(task):
    """Return the tables of a task as outputs, by name."""
    path = f"{RESULTS}/tables/{task}"
    tables = {f"{task}_{form}": f"{path}.{form}" for form in ("csv", "html", "json", "md", "tex")}
    return tables | {f"{task}_scores": f"{path}_scores.csv"}


rule table:
    """Tabulate mean and standard deviation over seeds, differences between models and the paper's values."""
    input:
        metrics=all_runs("metrics.json"),
        predictions=all_runs("predictions.csv"),
    output:
        **tables_of("classification"),
        **tables_of("regression"),
        configuration=f"{RESULTS}/tables/configuration.yaml",
    log:
        f"logs/{RESULTS}/tables/tables.log",
    benchmark:
        f"logs/{RESULTS}/tables/tables.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.tables", "molclr/evaluation/published.csv", "molclr/data/catalogue.yaml"),
        metrics=lambda wildcards: metrics_of(settings.models),
        settings=json.dumps(settings.decisive()),
    shell:
        'molclr table {params.metrics} --output "$(dirname {output.configuration:q})" --settings {params.settings:q}'
        " 2> {log:q}"


rule predictions:
    """Collect all test predictions of all runs."""
    input:
        metrics=all_runs("metrics.json"),
        predictions=all_runs("predictions.csv"),
    output:
        table=f"{RESULTS}/tables/predictions.csv.gz",
    log:
        f"logs/{RESULTS}/tables/predictions.log",
    benchmark:
        f"logs/{RESULTS}/tables/predictions.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.predictions"),
        metrics=lambda wildcards: metrics_of(settings.models),
    shell:
        "molclr predictions {params.metrics} --output {output.table:q} 2> {log:q}"


rule audit:
    """Count rejected rows, duplicates, conflicting and missing labels and undefined stereochemistry of the benchmarks."""
    input:
        benchmarks=audited,
    output:
        csv=f"{RESULTS}/tables/datasets.csv",
    log:
        f"logs/{RESULTS}/tables/datasets.log",
    benchmark:
        f"logs/{RESULTS}/tables/datasets.tsv"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **code_of("molclr.data.audit"),
        benchmarks=audited_options,
    shell:
        "molclr audit {params.benchmarks:q} --output {output.csv:q} --processes {threads} 2> {log:q}"


rule leakage:
    """Count the test molecules whose structure or scaffold occurs in the pre-training corpus."""
    input:
        benchmarks=audited,
        corpus=f"data/molecules/{CORPUS}.parquet",
    output:
        csv=f"{RESULTS}/tables/leakage.csv",
        molecules=f"{RESULTS}/tables/leakage_molecules.csv",
    log:
        f"logs/{RESULTS}/tables/leakage.log",
    benchmark:
        f"logs/{RESULTS}/tables/leakage.tsv"
    threads: 8
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        **code_of("molclr.data.leakage"),
        benchmarks=audited_options,
    shell:
        "molclr leakage {params.benchmarks:q} --corpus {input.corpus:q} --output {output.csv:q}"
        " --molecules {output.molecules:q} --processes {threads} 2> {log:q}"


rule embed_benchmark:
    """Embed molecules of a benchmark; with `single_task`, those with a label of the first target."""
    input:
        molecules=lambda wildcards: molecules_of(first_part_of(wildcards.name)),
        graphs=lambda wildcards: graphs_of(first_part_of(wildcards.name)),
        encoder=f"{RESULTS}/pretrain/{{encoder}}/encoder.safetensors",
    output:
        embeddings=f"{RESULTS}/maps/{{encoder}}/{{name}}.parquet",
    log:
        f"logs/{RESULTS}/maps/{{encoder}}/{{name}}.embed.log",
    benchmark:
        f"logs/{RESULTS}/maps/{{encoder}}/{{name}}.embed.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **code_of("molclr.training.embed"),
        own_code=lambda wildcards: own_code(settings.encoder_of(wildcards.encoder)),
        compute=COMPUTE,
        limit=min(settings.figures.molecules, MOST_MAPPED),
        encoder_class=lambda wildcards: encoder_class(wildcards.encoder),
    shell:
        "molclr embed-store {input.molecules:q} --graphs {input.graphs:q} --encoder {input.encoder:q} {params.encoder_class:q}"
        " --limit {params.limit} --settings {params.compute:q} --output {output.embeddings:q} 2> {log:q}"


rule maps:
    """Compute t-SNE, UMAP and principal components of everything that an encoder embedded, in one job, which compiles once."""
    input:
        corpus=f"{RESULTS}/embeddings/{{encoder}}.parquet" if ENCODERS else [],
        benchmarks=expand(f"{RESULTS}/maps/{{{{encoder}}}}/{{name}}.parquet", name=benchmarks),
    output:
        corpus=f"{RESULTS}/maps/{{encoder}}.csv" if ENCODERS else [],
        benchmarks=expand(f"{RESULTS}/maps/{{{{encoder}}}}/{{name}}.csv", name=benchmarks),
    log:
        f"logs/{RESULTS}/maps/{{encoder}}.log",
    benchmark:
        f"logs/{RESULTS}/maps/{{encoder}}.tsv"
    priority: 5  # one core and half a minute, beside the supervised runs
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.maps"),
    shell:
        "molclr maps {input:q} --output {output:q} 2> {log:q}"


def first_part_of(name):
    """Return the name of the first molecule table of a benchmark, which has several with `single_task`."""
    return next(iter(parts_of(name)))


def figure(name):
    """Return the files of a figure as outputs."""
    path = f"{RESULTS}/figures/{name}"
    return {"png": f"{path}.png", "svg": f"{path}.svg", "pdf": f"{path}.pdf", "caption": f"{path}.txt"}


def encoder_name(wildcards):
    """Return the name of an encoder in tables and figures."""
    return model_name(settings.encoder_of(wildcards.encoder), pretrained=False)


def stem_of(wildcards, output):
    """Return the path of a figure without suffix."""
    return output.png.removesuffix(".png")


rule figure_benchmarks:
    """Draw the scores of all models on all benchmarks and the paper's."""
    input:
        classification=f"{RESULTS}/tables/classification.csv",
        regression=f"{RESULTS}/tables/regression.csv",
    output:
        **figure("benchmarks"),
    log:
        f"logs/{RESULTS}/figures/benchmarks.log",
    benchmark:
        f"logs/{RESULTS}/figures/benchmarks.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.figures.benchmarks"),
        figure=stem_of,
    shell:
        "molclr figure benchmarks {input.classification:q} {input.regression:q} --output {params.figure:q} 2> {log:q}"


rule figure_pretraining:
    """Draw loss, contrastive accuracy and learning rate over the epochs."""
    input:
        histories=expand(f"{RESULTS}/pretrain/{{encoder}}/history.csv", encoder=ENCODERS),
    output:
        **figure("pretraining"),
    log:
        f"logs/{RESULTS}/figures/pretraining.log",
    benchmark:
        f"logs/{RESULTS}/figures/pretraining.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.figures.pretraining"),
        figure=stem_of,
        names=[model_name(settings.encoder_of(name), pretrained=True) for name in ENCODERS],
        loss=settings.pretrain.loss_label,
    shell:
        "molclr figure pretraining {input.histories:q} --names {params.names:q} --loss {params.loss:q}"
        " --output {params.figure:q} 2> {log:q}"


rule figure_finetuning:
    """Draw training loss and validation score of every network over the epochs."""
    input:
        metrics=[path for path in all_runs("metrics.json") if path.split("/")[-3] in NETWORKS],
        histories=[path for path in all_runs("history.csv") if path.split("/")[-3] in NETWORKS],
    output:
        **figure("finetuning"),
    log:
        f"logs/{RESULTS}/figures/finetuning.log",
    benchmark:
        f"logs/{RESULTS}/figures/finetuning.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.figures.finetuning", "molclr/data/catalogue.yaml"),
        metrics=lambda wildcards: metrics_of(NETWORKS),
        own=settings.model_dump_json(include={"own_benchmarks"}),
        figure=stem_of,
    shell:
        "molclr figure finetuning {params.metrics} --settings {params.own:q} --output {params.figure:q} 2> {log:q}"


rule figure_tsne:
    """Draw a t-SNE of the representation of held-out corpus molecules, coloured by a property."""
    input:
        embeddings=f"{RESULTS}/embeddings/{{encoder}}.parquet",
        coordinates=f"{RESULTS}/maps/{{encoder}}.csv",
    output:
        **figure("tsne_{encoder}"),
        places=f"{RESULTS}/figures/tsne_{{encoder}}.csv",
    log:
        f"logs/{RESULTS}/figures/tsne_{{encoder}}.log",
    benchmark:
        f"logs/{RESULTS}/figures/tsne_{{encoder}}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.figures.tsne"),
        property=settings.figures.property,
        figure=stem_of,
        name=encoder_name,
    shell:
        "molclr figure tsne {input.embeddings:q} --name {params.name} --property {params.property}"
        " --coordinates {input.coordinates:q} --output {params.figure:q} 2> {log:q}"


rule figure_retrieval:
    """Draw a query molecule and its nearest neighbours in the representation."""
    input:
        embeddings=f"{RESULTS}/embeddings/{{encoder}}.parquet",
    output:
        **figure("retrieval_{encoder}"),
    log:
        f"logs/{RESULTS}/figures/retrieval_{{encoder}}.log",
    benchmark:
        f"logs/{RESULTS}/figures/retrieval_{{encoder}}.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.figures.retrieval"),
        neighbours=settings.figures.neighbours,
        figure=stem_of,
        name=encoder_name,
    shell:
        "molclr figure retrieval {input.embeddings:q} --name {params.name} --neighbours {params.neighbours}"
        " --output {params.figure:q} 2> {log:q}"


rule all_results:
    """Make all tables, figures and maps, the outputs of the stage `results` in dvc.yaml."""
    input:
        TABLES,
        FIGURES,
        MAPS,
