# Evaluation: tables and figures as functions of the files that training wrote.
# Needs metrics, histories and embeddings; makes results/tables and results/figures.


def runs_of(task, file):
    """List a file of all runs on the benchmarks of a task."""
    return [f"{run}/{file}" for run, name in RUNS.items() if benchmarks[name].task == task]


def metrics_of(*tasks):
    """Return the metrics.json of all runs of tasks with bash braces, because a command may have at most 128 KiB."""
    paths = []
    for name in benchmarks:
        if benchmarks[name].task in tasks:
            for seeds in {tuple(seeds_of(name, model)): None for model in settings.models}:
                models = [model for model in settings.models if tuple(seeds_of(name, model)) == seeds]
                paths.append(
                    f"{RESULTS}/runs/{braces(parts_of(name))}/{braces(models)}/seed-{braces(seeds)}/metrics.json"
                )
    return " ".join(paths)


def braces(names):
    """Return the brace expansion of `names` in bash."""
    names = [str(name) for name in names]
    return names[0] if len(names) == 1 else f"{{{','.join(names)}}}"


TABLES = expand(
    f"{RESULTS}/tables/{{task}}.{{format}}",
    task=["classification", "regression"],
    format=["csv", "json", "md", "tex", "html"],
)
TABLES += expand(f"{RESULTS}/tables/{{task}}_scores.csv", task=["classification", "regression"])
TABLES += [f"{RESULTS}/tables/predictions.csv.gz", f"{RESULTS}/tables/datasets.csv"]
if ENCODERS:
    TABLES.append(f"{RESULTS}/tables/leakage.csv")
FIGURE_NAMES = ["benchmarks"]
if ENCODERS:
    FIGURE_NAMES += ["pretraining", *expand("{kind}_{encoder}", kind=["tsne", "retrieval"], encoder=ENCODERS)]
FIGURES = expand(f"{RESULTS}/figures/{{name}}.{{format}}", name=FIGURE_NAMES, format=["png", "svg"])


wildcard_constraints:
    task="classification|regression",


rule table:
    """Tabulate mean and standard deviation over seeds with the paper's values, one row per benchmark and model."""
    input:
        metrics=lambda wildcards: runs_of(wildcards.task, "metrics.json"),
        predictions=lambda wildcards: runs_of(wildcards.task, "predictions.csv"),
    output:
        csv=report(
            f"{RESULTS}/tables/{{task}}.csv",
            caption="../report/tables.rst",
            category="Tables",
            labels={"table": "{task}", "format": "CSV"},
        ),
        html=report(
            f"{RESULTS}/tables/{{task}}.html",
            caption="../report/tables.rst",
            category="Tables",
            labels={"table": "{task}", "format": "page"},
        ),
        scores=report(
            f"{RESULTS}/tables/{{task}}_scores.csv",
            caption="../report/scores.rst",
            category="Tables",
            labels={"table": "{task}, all metrics", "format": "CSV"},
        ),
        json=f"{RESULTS}/tables/{{task}}.json",
        markdown=f"{RESULTS}/tables/{{task}}.md",
        latex=f"{RESULTS}/tables/{{task}}.tex",
    log:
        f"logs/{RESULTS}/tables/{{task}}.log",
    benchmark:
        f"logs/{RESULTS}/tables/{{task}}.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.tables", "molclr/evaluation/published.csv", "molclr/data/catalogue.yaml"),
        metrics=lambda wildcards: metrics_of(wildcards.task),
        own=settings.model_dump_json(include={"own_benchmarks"}),
    shell:
        "molclr table --task {wildcards.task} --csv {output.csv:q} --scores {output.scores:q} --json {output.json:q}"
        " --settings {params.own:q} --markdown {output.markdown:q} --latex {output.latex:q} --html {output.html:q}"
        " {params.metrics} 2> {log:q}"


rule predictions:
    """Collect all test predictions of all runs."""
    input:
        metrics=[path for task in ("classification", "regression") for path in runs_of(task, "metrics.json")],
        predictions=[path for task in ("classification", "regression") for path in runs_of(task, "predictions.csv")],
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
        metrics=lambda wildcards: metrics_of("classification", "regression"),
    shell:
        "molclr predictions {params.metrics} --output {output.table:q} 2> {log:q}"


rule audit:
    """Count rejected rows, duplicates, conflicting and missing labels and undefined stereochemistry of the benchmarks."""
    input:
        benchmarks=audited,
    output:
        csv=report(
            f"{RESULTS}/tables/datasets.csv",
            caption="../report/datasets.rst",
            category="Data",
            labels={"table": "benchmarks"},
        ),
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
        csv=report(
            f"{RESULTS}/tables/leakage.csv",
            caption="../report/leakage.rst",
            category="Data",
            labels={"table": "leakage"},
        ),
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


def figure(name, labels):
    """Return the two images of a figure as outputs for the report."""
    caption = f"../report/{name.split('_')[0]}.rst"
    path = f"{RESULTS}/figures/{name}"
    return {
        "png": report(f"{path}.png", caption=caption, category="Figures", labels=labels | {"format": "PNG"}),
        "svg": report(f"{path}.svg", caption=caption, category="Figures", labels=labels | {"format": "SVG"}),
    }


rule figure_benchmarks:
    """Draw the scores of all models on all benchmarks and the paper's."""
    input:
        classification=f"{RESULTS}/tables/classification.csv",
        regression=f"{RESULTS}/tables/regression.csv",
    output:
        **figure("benchmarks", {"figure": "benchmarks"}),
    log:
        f"logs/{RESULTS}/figures/benchmarks.log",
    benchmark:
        f"logs/{RESULTS}/figures/benchmarks.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.figures.benchmarks"),
    shell:
        "molclr figure benchmarks {input.classification:q} {input.regression:q}"
        " --png {output.png:q} --svg {output.svg:q} 2> {log:q}"


rule figure_pretraining:
    """Draw loss, contrastive accuracy and learning rate over the epochs."""
    input:
        histories=expand(f"{RESULTS}/pretrain/{{encoder}}/history.csv", encoder=ENCODERS),
    output:
        **figure("pretraining", {"figure": "pre-training"}),
    log:
        f"logs/{RESULTS}/figures/pretraining.log",
    benchmark:
        f"logs/{RESULTS}/figures/pretraining.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.figures.pretraining"),
    shell:
        "molclr figure pretraining {input.histories:q} --png {output.png:q} --svg {output.svg:q} 2> {log:q}"


rule figure_tsne:
    """Draw a t-SNE of the representation of held-out corpus molecules, coloured by a property."""
    input:
        embeddings=f"{RESULTS}/embeddings/{{encoder}}.parquet",
    output:
        **figure("tsne_{encoder}", {"figure": "t-SNE", "encoder": "{encoder}"}),
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
    shell:
        "molclr figure tsne {input.embeddings:q} --property {params.property}"
        " --png {output.png:q} --svg {output.svg:q} 2> {log:q}"


rule figure_retrieval:
    """Draw a query molecule and its nearest neighbours in the representation."""
    input:
        embeddings=f"{RESULTS}/embeddings/{{encoder}}.parquet",
    output:
        **figure("retrieval_{encoder}", {"figure": "retrieval", "encoder": "{encoder}"}),
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
    shell:
        "molclr figure retrieval {input.embeddings:q} --neighbours {params.neighbours}"
        " --png {output.png:q} --svg {output.svg:q} 2> {log:q}"


rule all_results:
    """Make all tables and figures, the outputs of the stage `results` in dvc.yaml."""
    input:
        TABLES,
        FIGURES,
