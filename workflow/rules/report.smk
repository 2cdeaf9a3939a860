# Report: one page of a run. Its times and commit differ from run to run, so it is not an output of a stage in dvc.yaml.
# Needs tables, figures, maps, histories, embeddings and molecule tables; makes results/report.html.

TEMPLATES = [f"molclr/evaluation/report/templates/{name}" for name in ("base.html", "macros.html", "run.html")]
TEMPLATES += [f"molclr/evaluation/report/templates/{name}" for name in ("script.js", "style.css")]
REPORT = f"{RESULTS}/report.html"


rule report:
    """Make the page of the run, which shows what there is."""
    input:
        tables=TABLES,
        figures=FIGURES,
        maps=MAPS,
        histories=expand(f"{RESULTS}/pretrain/{{encoder}}/history.csv", encoder=ENCODERS),
        embeddings=expand(f"{RESULTS}/embeddings/{{encoder}}.parquet", encoder=ENCODERS),
        benchmarks=audited,
        corpus=f"data/molecules/{CORPUS}.rejected.csv" if ENCODERS else [],
    output:
        page=REPORT,
    log:
        f"logs/{RESULTS}/report.log",
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **code_of("molclr.evaluation.report.page", *TEMPLATES),
        benchmarks=audited_options,
        corpus=lambda wildcards, input: ["--corpus-rejected", input.corpus] if input.corpus else [],
    shell:
        "molclr report {RESULTS:q} {params.benchmarks:q} {params.corpus:q} --logs logs"
        " --output {output.page:q} 2> {log:q}"
