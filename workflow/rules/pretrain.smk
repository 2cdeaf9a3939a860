# Pre-training: encoders from unlabelled molecules.
# Needs the corpus's graph store; makes results/pretrain/ENCODER and results/embeddings.

RESULTS = settings.results
RELEASED = settings.encoder.released
STARTS = [name.lower() for name in settings.encoders]
ENCODERS = [] if RELEASED else STARTS  # those that are pre-trained here


# How jobs run does not affect results, so it is not in params.
PROCESSES = max(1, settings.run.pretrain_gpus)
MOLCLR = f"torchrun --standalone --nproc-per-node {PROCESSES} -m molclr" if PROCESSES > 1 else "molclr"
CHECKPOINTS = (
    f"--checkpoint-seconds {settings.run.checkpoint_seconds}{' --begin-anew' if settings.run.begin_anew else ''}"
)
COMPUTE = settings.pretrain.model_dump_json(include=set(Compute.model_fields))  # of jobs that use an encoder as it is


wildcard_constraints:
    encoder="|".join(["gin", "gcn", *STARTS]),


def encoder_class(model):
    """Return the option for the class of a model's encoder, if it is a user's class."""
    name = settings.encoder_of(model)
    return ["--encoder-class", name] if is_dotted_path(name) else []


if RELEASED:

    rule import_official:
        """Import a released encoder instead of pre-training."""
        input:
            checkpoint=f"data/raw/{RELEASED}.pth",
        output:
            encoder=f"{RESULTS}/pretrain/{{encoder}}/encoder.safetensors",
        log:
            f"logs/{RESULTS}/pretrain/{{encoder}}.log",
        benchmark:
            f"logs/{RESULTS}/pretrain/{{encoder}}.tsv"
        resources:
            mem_mb=2000,
            runtime=60,
        params:
            **code_of("molclr.training.official"),
        shell:
            "molclr import-official {input.checkpoint:q} --output {output.encoder:q} 2> {log:q}"

else:

    rule pretrain:
        """Pre-train an encoder; an unfinished run continues from its checkpoint, which Snakemake keeps as it is not an output."""
        input:
            graphs=f"data/graphs/{CORPUS}.safetensors",
        output:
            encoder=f"{RESULTS}/pretrain/{{encoder}}/encoder.safetensors",
            last=f"{RESULTS}/pretrain/{{encoder}}/last.safetensors",
            history=f"{RESULTS}/pretrain/{{encoder}}/history.csv",
            record=f"{RESULTS}/pretrain/{{encoder}}/run.json",
        log:
            f"logs/{RESULTS}/pretrain/{{encoder}}.log",
        benchmark:
            f"logs/{RESULTS}/pretrain/{{encoder}}.tsv"
        priority: 10  # start the longest job first
        threads: settings.pretrain.threads * PROCESSES
        resources:
            gpu=settings.run.pretrain_gpus,
            mem_mb=4000 * PROCESSES,
            runtime=7 * 24 * 60,
        params:
            **code_of("molclr.training.pretrain"),
            own_code=lambda wildcards: own_code(settings.encoder_of(wildcards.encoder), *settings.pretrain.functions()),
            encoder=lambda wildcards: settings.encoder_of(wildcards.encoder),
            shape=settings.encoder.shape.model_dump_json(),
            settings=settings.pretrain.model_dump_json(),
        shell:
            "{MOLCLR} pretrain {input.graphs:q} --encoder {params.encoder:q} --shape {params.shape:q}"
            " --settings {params.settings:q} {CHECKPOINTS}"
            ' --output "$(dirname {output.encoder:q})" 2> {log:q}'


rule embed:
    """Embed corpus molecules that pre-training held out."""
    input:
        molecules=f"data/molecules/{CORPUS}.parquet",
        graphs=f"data/graphs/{CORPUS}.safetensors",
        encoder=f"{RESULTS}/pretrain/{{encoder}}/encoder.safetensors",
    output:
        embeddings=f"{RESULTS}/embeddings/{{encoder}}.parquet",
    log:
        f"logs/{RESULTS}/embeddings/{{encoder}}.log",
    benchmark:
        f"logs/{RESULTS}/embeddings/{{encoder}}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **code_of("molclr.training.embed"),
        own_code=lambda wildcards: own_code(settings.encoder_of(wildcards.encoder)),
        compute=COMPUTE,
        limit=settings.figures.molecules,
        encoder_class=lambda wildcards: encoder_class(wildcards.encoder),
    shell:
        "molclr embed-store {input.molecules:q} --graphs {input.graphs:q} --encoder {input.encoder:q} {params.encoder_class:q}"
        " --held-out --limit {params.limit} --settings {params.compute:q} --output {output.embeddings:q} 2> {log:q}"


rule all_pretrain:
    """Make all encoders and embeddings, the outputs of the stage `pretrain` in dvc.yaml."""
    input:
        expand(f"{RESULTS}/pretrain/{{encoder}}/encoder.safetensors", encoder=STARTS),
        expand(f"{RESULTS}/embeddings/{{encoder}}.parquet", encoder=ENCODERS),
