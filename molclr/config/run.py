"""The whole configuration of a run of the workflow."""

import re
from typing import Annotated, Any, get_args

from pydantic import Field, field_validator, model_validator

from molclr.config.data import Corpus, OwnBenchmarks
from molclr.config.fields import WHOLE, Count, Distinct, MolecularProperty, PositiveInt, Section, Seed
from molclr.config.training import Baselines, EncoderChoice, Finetune, Pretrain
from molclr.model_names import (
    PRETRAINED,
    EncoderName,
    ModelName,
    encoders_of,
    frozen_names,
    model_name,
    network_of,
    pretrained_of,
)


class Figures(Section):
    """The content of the figures."""

    molecules: PositiveInt = Field(2000, description="held-out corpus molecules to embed; at most 600 of a benchmark")
    property: MolecularProperty = Field("logp", description="colour of the t-SNE")
    neighbours: PositiveInt = Field(8, description="neighbours in the retrieval figure")


class Run(Section):
    """How jobs run. These keys do not affect results, so they are not in the parameters of rules or in dvc.lock."""

    pretrain_gpus: Count = Field(0, description="GPUs of pre-training, with one process per GPU")
    finetune_gpus: Annotated[int, Field(ge=0, le=1), WHOLE] = Field(0, description="GPUs of a fine-tuning job")
    forest_threads: PositiveInt = Field(1, description="CPU threads of a random forest or support vector machine")
    checkpoint_seconds: float = Field(
        300.0, ge=0, description="time between checkpoints of pre-training; 0: after each step"
    )
    begin_anew: bool = Field(
        False,
        description="move an unfinished pre-training with other settings to kept/ and start again; false: an error",
    )


class Config(OwnBenchmarks):
    """The configuration of a run of the workflow."""

    results: str = Field(
        "results",
        description="folder for results: results or a folder in it other than results/published",
    )
    mirror: str | None = Field(None, description="folder with copies of data sets; MOLCLR_MIRROR has precedence")
    corpus: Corpus = Field(default_factory=Corpus, description="molecules for pre-training")
    benchmarks: Distinct[str] = Field(description="benchmarks of the catalogue or of `own_benchmarks`")
    benchmark_molecules: PositiveInt | None = Field(None, description="rows to use of each benchmark; null: all")
    drop_first_row: bool = Field(False, description="drop the first row of each benchmark; official: true")
    single_task: bool = Field(
        False,
        description="one model per target, on the molecules with its label and their own split; official: true",
    )
    explicit_hydrogens: bool = Field(False, description="explicit hydrogen atoms in benchmarks; official: true")
    models: Distinct[str] = Field(
        description="models to run: RF, SVM, SVM_Tanimoto, GIN, GCN, MolCLR_GIN, MolCLR_GCN; SVM_MolCLR_GIN (SVM on the frozen "
        "representation) and SVM_MolCLR_GIN_ECFP (on it and ECFP4 counts), likewise for GCN. An encoder.name that ends in GAT "
        "adds GAT, MolCLR_GAT and the SVMs on it"
    )
    seeds: Distinct[Seed] = Field(default=[0, 1, 2], description="seeds of all models")
    seeds_of: dict[str, Distinct[Seed]] = Field({}, description="benchmark -> seeds, if they differ from `seeds`")
    encoder: EncoderChoice = Field(
        default_factory=EncoderChoice, description="shape of all encoders; or official-gin, official-gcn"
    )
    pretrain: Pretrain = Field(default_factory=Pretrain, description="pre-training")
    finetune: Finetune = Field(default_factory=Finetune, description="fine-tuning")
    search_trials: Annotated[int, Field(ge=1, le=192), WHOLE] | None = Field(
        None, description="trials of a random search for each benchmark and network; null: no search"
    )
    baselines: Baselines = Field(default_factory=Baselines, description="baselines")
    figures: Figures = Field(default_factory=Figures, description="figures")
    run: Run = Field(default_factory=Run, description="how jobs run, without effect on results")

    @field_validator("results")
    @classmethod
    def _is_a_folder_for_results(cls, folder: str) -> str:
        if not re.fullmatch(r"results(/[A-Za-z0-9_-]+)*", folder):
            raise ValueError(
                "input should be results or a folder in it, such as results/mine, with only letters, digits, - and _"
            )
        if folder.split("/")[1:2] == ["published"]:
            raise ValueError("runs cannot write to results/published; choose another folder")
        return folder

    @model_validator(mode="after")
    def _has_known_models(self) -> "Config":
        own = self.encoder.own
        of_own = [model_name(own, True), model_name(own, False)] if own else []
        known = [*get_args(ModelName), *of_own]
        known += [name for model in known if model.startswith(PRETRAINED) for name in frozen_names(model)]
        for model in self.models:
            if model not in known:
                named = (
                    f"'encoder.name: {own}' names {' and '.join(of_own)}"
                    if own
                    else "your own encoder needs encoder.name"
                )
                raise ValueError(f"'models' has {model!r}, which is not one of {', '.join(known)}; {named}")
        return self

    def encoder_of(self, model: str) -> EncoderName:
        """Return the encoder of a model: gin for MolCLR_GIN, GIN and gin; my_package.gat:GAT for MolCLR_GAT, GAT and gat."""
        network, own = network_of(model).lower(), self.encoder.own
        return own if own and model_name(own, False).lower() == network else network

    def decisive(self) -> dict[str, Any]:
        """Return the keys that decide the scores of a run and differ from their defaults, as in a YAML file."""
        return self.model_dump(mode="json", exclude={"results", "mirror", "run", "figures"}, exclude_defaults=True)

    @property
    def encoders(self) -> list[str]:
        """Networks of the pre-trained encoders that the models use, such as GIN; folders of their files are in lower case."""
        return encoders_of(self.models)

    @model_validator(mode="after")
    def _suits_a_released_encoder(self) -> "Config":
        released = self.encoder.released
        wanted = model_name(released.removeprefix("official-"), pretrained=True) if released else None
        for model in self.models:
            if wanted and pretrained_of(model) not in ("", wanted):
                raise ValueError(f"the encoder {released} belongs to {wanted}; remove {model} from 'models'")
        if released and self.corpus.exclude:
            raise ValueError(f"{released} is already trained, so 'corpus.exclude' has no effect; remove it")
        return self
