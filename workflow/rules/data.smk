# Data: from the sources of the catalogue to molecule tables, splits and graph stores.
# Needs the network or a mirror folder; makes data/raw, data/molecules, data/splits and data/graphs.


def table_name(name, molecules):
    """Name of the molecule table of a data set, or of so many rows of it."""
    return f"{name}-{molecules}" if molecules else name


def parts_of(name):
    """What is learned at a time of a benchmark: all its targets, or each by itself under a name of its own."""
    targets = benchmarks[name].targets
    if settings.single_task and len(targets) > 1:
        return {f"{name}.target-{number}": target for number, target in enumerate(targets, 1)}
    return {name: None}


WHOLE_CORPUS = table_name(settings.corpus.name, settings.corpus.molecules)
CORPUS = WHOLE_CORPUS + (f".without-test-{settings.corpus.exclude}" if settings.corpus.exclude else "")
MOLECULES_PER_SHARD = 1_000_000
OWN_CORPUS = {settings.corpus.name: settings.corpus} if settings.corpus.table else {}
# Tables of one's own -> what the configuration says of them.
OWN = OWN_CORPUS | {name: own for name, own in settings.own_benchmarks.items() if name in benchmarks}


def corpus_rows():
    """About how many rows are taken of the corpus; of one's own, a line is some 50 bytes."""
    if settings.corpus.molecules:
        return settings.corpus.molecules
    if settings.corpus.table:
        return max(1, os.path.getsize(settings.corpus.table) // 50)
    return catalogue[settings.corpus.name].rows or 10_000_000


# Jobs that share the featurizing of the corpus. No key: Snakemake would make the store anew, and pre-train again, for another value.
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
    """Path of the molecule table of a benchmark, or of a target of it."""
    return f"data/molecules/{TABLE_OF[part]}.parquet"


def graphs_of(part):
    """Path of its graph store; whether hydrogens are atoms stands in the name."""
    return f"data/graphs/{TABLE_OF[part]}{'.hydrogens' if settings.explicit_hydrogens else ''}.safetensors"


def split_of(part):
    """Path of its split; the scheme and its seed stand in the name."""
    return f"data/splits/{TABLE_OF[part]}.{benchmarks[BENCHMARK_OF[part]].split}.csv"


def raw_of(table):
    """Path of the raw table that a molecule table is made of."""
    return OWN[RAW[table]].table if RAW[table] in OWN else f"data/raw/{RAW[table]}.csv"


def split_options(wildcards, input):
    """How a table is split, as options."""
    if wildcards.scheme == "given":
        return ["--given", input.given, "--column", OWN[RAW[wildcards.table]].split_column]
    scheme, _, seed = wildcards.scheme.partition("-")
    return ["--scheme", scheme, *(["--seed", seed] if seed else [])]


def audited(wildcards=None):
    """The files of every benchmark that an audit reads."""
    return [
        path
        for part, table in TABLE_OF.items()
        for path in (molecules_of(part), f"data/molecules/{table}.rejected.csv", split_of(part))
    ]


def audited_options(wildcards, input):
    """The same as options."""
    files = iter(input.benchmarks)
    return [option for part in TABLE_OF for option in ("--benchmark", part, next(files), next(files), next(files))]


def selection_of(table):
    """What goes into a molecule table, as options."""
    own = OWN.get(RAW[table])
    options = ["--limit", LIMITS[table]] if LIMITS[table] else []
    options += ["--smiles-column", own.smiles_column if own else "smiles"]
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
    """Get a data set from the first of its sources that answers with the right bytes."""
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
        code=code_digest("molclr.data.fetch"),
        entry=lambda wildcards: catalogue[wildcards.dataset].model_dump_json(
            include={"targets", "rows", "fingerprint", "sources"}
        ),
    shell:
        "molclr fetch {wildcards.dataset} --output {output.table:q} --source {output.source:q} 2> {log:q}"


rule fetch_checkpoint:
    """Get an encoder that the authors released."""
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
        code=code_digest("molclr.data.fetch"),
        entry=lambda wildcards: catalogue[wildcards.checkpoint].model_dump_json(include={"sources"}),
    shell:
        "molclr fetch {wildcards.checkpoint} --output {output.checkpoint:q} --source {output.source:q} 2> {log:q}"


rule canonicalize:
    """Canonical SMILES, one row per molecule; rejected rows with their reason in a table of their own."""
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
        code=code_digest("molclr.data.canonicalize"),
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
        code=code_digest("molclr.data.splits"),
        scheme=split_options,
    shell:
        "molclr split {input.molecules:q} {params.scheme:q} --output {output.split:q} 2> {log:q}"


if settings.corpus.exclude:

    rule exclude:
        """The corpus without what is like a test molecule."""
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
            code=code_digest("molclr.data.leakage"),
            like=settings.corpus.exclude,
            benchmarks=audited_options,
        shell:
            "molclr exclude {params.benchmarks:q} --corpus {input.corpus:q} --like {params.like}"
            " --molecules {output.molecules:q} --rejected {output.rejected:q} --processes {threads} 2> {log:q}"


rule featurize:
    """The graphs of a molecule table as flat arrays in one file."""
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
        code=code_digest("molclr.data.featurize"),
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
            code=code_digest("molclr.data.featurize"),
            options=f"--shard {{shard}}/{SHARDS}",

    rule join:
        """The shards of the corpus as one store: the bytes that one job would have made."""
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
            code=code_digest("molclr.data.featurize"),
        shell:
            "molclr join {input.shards:q} --output {output.graphs:q} 2> {log:q}"


rule all_data:
    """Everything up to training: what the stage `data` of dvc.yaml makes."""
    input:
        expand("data/raw/{dataset}.source.json", dataset=FETCHED),
        expand("data/raw/{checkpoint}.pth", checkpoint=settings.encoder.released or []),
        expand("data/molecules/{table}.rejected.csv", table=[*RAW, CORPUS]),
        f"data/graphs/{CORPUS}.safetensors",
        [graphs_of(part) for part in BENCHMARK_OF],
        [split_of(part) for part in BENCHMARK_OF],
