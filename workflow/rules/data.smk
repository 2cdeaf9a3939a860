# Data: from the sources of the catalogue to molecule tables, splits and graph stores.
# Needs the network or a mirror folder; makes data/raw, data/molecules, data/splits and data/graphs.


def table_name(name, molecules):
    """Name of the molecule table of a data set, or of so many rows of it."""
    return f"{name}-{molecules}" if molecules else name


CORPUS = table_name(settings.corpus.name, settings.corpus.molecules)
BENCHMARK_TABLES = {name: table_name(name, settings.benchmark_molecules) for name in benchmarks}
RAW = {CORPUS: settings.corpus.name} | {table: name for name, table in BENCHMARK_TABLES.items()}
LIMITS = {table: settings.benchmark_molecules for table in BENCHMARK_TABLES.values()} | {
    CORPUS: settings.corpus.molecules
}
SCHEMES = {"scaffold": "scaffold", "random": "random-0"}


def split_of(benchmark):
    """Path of a benchmark's split; its scheme stands in the name."""
    return f"data/splits/{BENCHMARK_TABLES[benchmark]}.{SCHEMES[benchmarks[benchmark].split]}.csv"


wildcard_constraints:
    dataset="|".join(sorted(set(RAW.values()))),
    table="|".join(RAW),
    scheme="|".join(SCHEMES.values()),


rule fetch:
    """Get a data set from the first of its sources that answers with the right bytes."""
    input:
        code=source_files("data.fetch"),
    output:
        table="data/raw/{dataset}.csv",
        source="data/raw/{dataset}.source.json",
    log:
        "logs/data/raw/{dataset}.log",
    benchmark:
        "logs/data/raw/{dataset}.tsv"
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        entry=lambda wildcards: catalogue[wildcards.dataset].model_dump_json(
            include={"targets", "rows", "fingerprint", "sources"}
        ),
    shell:
        "molclr fetch {wildcards.dataset} --output {output.table:q} --source {output.source:q} 2> {log:q}"


rule canonicalize:
    """Canonical SMILES, one row a molecule; refused rows with their reason in a table of their own."""
    input:
        raw=lambda wildcards: f"data/raw/{RAW[wildcards.table]}.csv",
        code=source_files("data.molecules"),
    output:
        molecules="data/molecules/{table}.parquet",
        rejected="data/molecules/{table}.rejected.csv",
    log:
        "logs/data/molecules/{table}.log",
    benchmark:
        "logs/data/molecules/{table}.tsv"
    threads: lambda wildcards: 8 if wildcards.table == CORPUS else 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        limit=lambda wildcards: f"--limit {LIMITS[wildcards.table]}" if LIMITS[wildcards.table] else "",
        unique=lambda wildcards: "--unique" if wildcards.table == CORPUS else "",
    shell:
        "molclr canonicalize {input.raw:q} --molecules {output.molecules:q} --rejected {output.rejected:q}"
        " {params.limit} {params.unique} --processes {threads} 2> {log:q}"


rule split:
    """Assign every molecule of a benchmark to train, valid or test."""
    input:
        molecules="data/molecules/{table}.parquet",
        code=source_files("data.splits"),
    output:
        split="data/splits/{table}.{scheme}.csv",
    log:
        "logs/data/splits/{table}.{scheme}.log",
    benchmark:
        "logs/data/splits/{table}.{scheme}.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        scheme=lambda wildcards: "--scheme random --seed 0" if wildcards.scheme == "random-0" else "--scheme scaffold",
    shell:
        "molclr split {input.molecules:q} {params.scheme} --output {output.split:q} 2> {log:q}"


rule featurize:
    """The graphs of a molecule table as flat arrays in one file."""
    input:
        molecules="data/molecules/{table}.parquet",
        code=source_files("data.featurize"),
    output:
        graphs="data/graphs/{table}.safetensors",
    log:
        "logs/data/graphs/{table}.log",
    benchmark:
        "logs/data/graphs/{table}.tsv"
    threads: lambda wildcards: 8 if wildcards.table == CORPUS else 1
    resources:
        mem_mb=1500,
        runtime=240,
    shell:
        "molclr featurize {input.molecules:q} --output {output.graphs:q} --processes {threads} 2> {log:q}"
