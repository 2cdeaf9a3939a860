# Data: from the sources of the catalogue to molecule tables, splits and graph stores.
# Needs the network or a mirror folder; makes data/raw, data/molecules, data/splits and data/graphs.


def table_name(name, molecules):
    """Return the name of the molecule table of a data set, or of a number of its rows."""
    return f"{name}-{molecules}" if molecules else name


def parts_of(name):
    """Return name -> target of the models of a benchmark: one for all targets (None), or with `single_task` one per target."""
    targets = benchmarks[name].targets
    if settings.single_task and len(targets) > 1:
        return {f"{name}.target-{number}": target for number, target in enumerate(targets, 1)}
    return {name: None}


WHOLE_CORPUS = table_name(settings.corpus.name, settings.corpus.molecules)
CORPUS = WHOLE_CORPUS + (f".without-test-{settings.corpus.exclude}" if settings.corpus.exclude else "")
MOLECULES_PER_SHARD = 1_000_000
OWN_CORPUS = {settings.corpus.name: settings.corpus} if settings.corpus.table else {}
# User-defined data sets -> their configuration.
OWN = OWN_CORPUS | {name: own for name, own in settings.own_benchmarks.items() if name in benchmarks}


def corpus_rows():
    """Estimate the number of rows of the corpus, with 50 bytes per line for a user's corpus."""
    if settings.corpus.molecules:
        return settings.corpus.molecules
    if settings.corpus.table:
        return max(1, os.path.getsize(settings.corpus.table) // 50)
    return catalogue[settings.corpus.name].rows or 10_000_000


# Number of featurizing jobs for the corpus. Not a key, because Snakemake would featurize and pre-train again for another value.
SHARDS = math.ceil(corpus_rows() / MOLECULES_PER_SHARD)
BENCHMARK_OF = {part: name for name in benchmarks for part in parts_of(name)}
TABLE_OF = {
    part: table_name(part, settings.benchmark_molecules) + (".drop-first" if settings.drop_first_row else "")
    for part in BENCHMARK_OF
}
RAW = {WHOLE_CORPUS: settings.corpus.name} | {TABLE_OF[part]: name for part, name in BENCHMARK_OF.items()}
LIMITS = dict.fromkeys(TABLE_OF.values(), settings.benchmark_molecules) | {WHOLE_CORPUS: settings.corpus.molecules}
TARGETS = {TABLE_OF[part]: target for name in benchmarks for part, target in parts_of(name).items()}
FETCHED = sorted({*RAW.values()} - {*OWN})


def molecules_of(part):
    """Return the path of the molecule table of a benchmark or a target of it."""
    return f"data/molecules/{TABLE_OF[part]}.parquet"


def graphs_of(part):
    """Return the path of its graph store, whose name says whether hydrogens are explicit."""
    return f"data/graphs/{TABLE_OF[part]}{'.hydrogens' if settings.explicit_hydrogens else ''}.safetensors"


def split_of(part):
    """Return the path of its split, whose name has the scheme and the seed."""
    return f"data/splits/{TABLE_OF[part]}.{benchmarks[BENCHMARK_OF[part]].split}.csv"


def raw_of(table):
    """Return the path of the raw table from which a molecule table is made."""
    return OWN[RAW[table]].table if RAW[table] in OWN else f"data/raw/{RAW[table]}.csv"


def split_options(wildcards, input):
    """Return the options for the split of a table."""
    if wildcards.scheme == "given":
        return ["--given", input.given, "--column", OWN[RAW[wildcards.table]].split_column]
    scheme, _, seed = wildcards.scheme.partition("-")
    return ["--scheme", scheme, *(["--seed", seed] if seed else [])]


def audited(wildcards=None):
    """List the files of all benchmarks that an audit reads."""
    return [
        path
        for part, table in TABLE_OF.items()
        for path in (molecules_of(part), f"data/molecules/{table}.rejected.csv", split_of(part))
    ]


def audited_options(wildcards, input):
    """Return the files of `audited` as options."""
    files = iter(input.benchmarks)
    return [option for part in TABLE_OF for option in ("--benchmark", part, next(files), next(files), next(files))]


def selection_of(table):
    """Return the options that select rows and columns of a molecule table."""
    column = OWN[RAW[table]].smiles_column if RAW[table] in OWN else "smiles"
    options = ["--limit", LIMITS[table]] if LIMITS[table] else []
    options += ["--smiles-column", column] if column else []
    if table == WHOLE_CORPUS:
        return [*options, "--unique", "--targets"]
    if settings.drop_first_row:
        options.append("--drop-first")
    if TARGETS[table]:
        return [*options, "--labelled", "--targets", TARGETS[table]]
    return [*options, "--targets", *benchmarks[RAW[table]].targets]


wildcard_constraints:
    dataset="|".join(FETCHED) or "none",
    checkpoint="|".join(catalogue.checkpoints),
    table="|".join([*RAW, CORPUS]),
    hydrogens=r"|\.hydrogens",
    shard=r"\d+",
    scheme=r"[a-z_]+(-\d+)?",


rule fetch:
    """Download a data set from the first source that gives the expected table."""
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
        **code_of("molclr.data.fetch"),
        entry=lambda wildcards: catalogue[wildcards.dataset].model_dump_json(
            include={"targets", "rows", "fingerprint", "sources"}
        ),
    shell:
        "molclr fetch {wildcards.dataset} --output {output.table:q} --source {output.source:q} 2> {log:q}"


rule fetch_checkpoint:
    """Download an encoder released by the authors."""
    output:
        checkpoint="data/raw/{checkpoint}.pth",
        source="data/raw/{checkpoint}.source.json",
    log:
        "logs/data/raw/{checkpoint}.log",
    benchmark:
        "logs/data/raw/{checkpoint}.tsv"
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        **code_of("molclr.data.fetch"),
        entry=lambda wildcards: catalogue[wildcards.checkpoint].model_dump_json(include={"sources"}),
    shell:
        "molclr fetch {wildcards.checkpoint} --output {output.checkpoint:q} --source {output.source:q} 2> {log:q}"


rule canonicalize:
    """Canonicalize SMILES, one row per molecule; write rejected rows with their reasons to a separate table."""
    input:
        raw=lambda wildcards: raw_of(wildcards.table),
    output:
        molecules="data/molecules/{table}.parquet",
        rejected="data/molecules/{table}.rejected.csv",
    log:
        "logs/data/molecules/{table}.log",
    benchmark:
        "logs/data/molecules/{table}.tsv"
    wildcard_constraints:
        table="|".join(RAW),
    threads: lambda wildcards: 8 if wildcards.table == WHOLE_CORPUS else 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        **code_of("molclr.data.canonicalize"),
        selection=lambda wildcards: selection_of(wildcards.table),
    shell:
        "molclr canonicalize {input.raw:q} --molecules {output.molecules:q} --rejected {output.rejected:q}"
        " {params.selection:q} --processes {threads} 2> {log:q}"


rule split:
    """Assign every molecule of a benchmark to train, valid or test."""
    input:
        molecules="data/molecules/{table}.parquet",
        given=lambda wildcards: raw_of(wildcards.table) if wildcards.scheme == "given" else [],
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
        **code_of("molclr.data.splits"),
        scheme=split_options,
    shell:
        "molclr split {input.molecules:q} {params.scheme:q} --output {output.split:q} 2> {log:q}"


if settings.corpus.exclude:

    rule exclude:
        """Exclude test molecules, or molecules with their scaffolds, from the corpus."""
        input:
            corpus=f"data/molecules/{WHOLE_CORPUS}.parquet",
            benchmarks=audited,
        output:
            molecules=f"data/molecules/{CORPUS}.parquet",
            rejected=f"data/molecules/{CORPUS}.rejected.csv",
        log:
            f"logs/data/molecules/{CORPUS}.log",
        benchmark:
            f"logs/data/molecules/{CORPUS}.tsv"
        threads: 8
        resources:
            mem_mb=2000,
            runtime=240,
        params:
            **code_of("molclr.data.leakage"),
            like=settings.corpus.exclude,
            benchmarks=audited_options,
        shell:
            "molclr exclude {params.benchmarks:q} --corpus {input.corpus:q} --like {params.like}"
            " --molecules {output.molecules:q} --rejected {output.rejected:q} --processes {threads} 2> {log:q}"


rule featurize:
    """Make the graph store of a molecule table."""
    input:
        molecules="data/molecules/{table}.parquet",
    output:
        graphs="data/graphs/{table}{hydrogens}.safetensors",
    log:
        "logs/data/graphs/{table}{hydrogens}.log",
    benchmark:
        "logs/data/graphs/{table}{hydrogens}.tsv"
    wildcard_constraints:
        table="|".join(table for table in [*RAW, CORPUS] if table != CORPUS or SHARDS == 1),
    threads: lambda wildcards: 8 if wildcards.table == CORPUS else 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        **code_of("molclr.data.featurize"),
        options=lambda wildcards: "--explicit-hydrogens" if wildcards.hydrogens else "",
    shell:
        "molclr featurize {input.molecules:q} {params.options} --output {output.graphs:q} --processes {threads}"
        " 2> {log:q}"


if SHARDS > 1:

    use rule featurize as featurize_shard with:
        output:
            graphs=temp("data/graphs/.{table}.{shard}.safetensors"),
        log:
            "logs/data/graphs/{table}.{shard}.log",
        benchmark:
            "logs/data/graphs/{table}.{shard}.tsv"
        wildcard_constraints:
            table=CORPUS,
        params:
            **code_of("molclr.data.featurize"),
            options=f"--shard {{shard}}/{SHARDS}",

    rule join:
        """Join the shards of the corpus to one store, with the same bytes as that of a single job."""
        input:
            shards=expand(f"data/graphs/.{CORPUS}.{{shard}}.safetensors", shard=range(1, SHARDS + 1)),
        output:
            graphs=f"data/graphs/{CORPUS}.safetensors",
        log:
            f"logs/data/graphs/{CORPUS}.log",
        benchmark:
            f"logs/data/graphs/{CORPUS}.tsv"
        resources:
            mem_mb=1500,
            runtime=240,
        params:
            **code_of("molclr.data.featurize"),
        shell:
            "molclr join {input.shards:q} --output {output.graphs:q} 2> {log:q}"


rule all_data:
    """Make all files before training, the outputs of the stage `data` in dvc.yaml."""
    input:
        expand("data/raw/{dataset}.source.json", dataset=FETCHED),
        expand("data/raw/{checkpoint}.pth", checkpoint=settings.encoder.released or []),
        expand("data/molecules/{table}.rejected.csv", table=[*RAW, CORPUS]),
        f"data/graphs/{CORPUS}.safetensors",
        [graphs_of(part) for part in BENCHMARK_OF],
        [split_of(part) for part in BENCHMARK_OF],
