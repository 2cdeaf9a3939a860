"""No module imports from a higher layer."""

from molclr.digest import PACKAGE, _read

LAYERS = [
    {
        "config",
        "model_names",
        "definitions",
        "errors",
        "files",
        "progress",
        "seeds",
        "imports",
        "hashing",
        "batch",
        "digest",
        "parallel",
        "distributed",
        "chem",
    },
    {"data", "models"},
    {"evaluation"},
    {"training"},
    {"qsar", "library"},
    {"cli", "representation", "estimators", "__main__"},
]


def part_of(module):
    return module.split(".")[1]


def layer_of(module):
    return next(number for number, layer in enumerate(LAYERS) if part_of(module) in layer)


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        if name != "molclr":
            yield name, [imported for imported in _read(name)[1] if imported != "molclr"]


def test_no_import_goes_up_a_layer():
    for name, imports in modules():
        for imported in imports:
            assert layer_of(imported) <= layer_of(name), f"{name} imports {imported}"


def test_data_and_models_do_not_know_each_other():
    for name, imports in modules():
        below = set(map(part_of, imports))
        assert not (part_of(name) == "models" and "data" in below), name
        assert not (part_of(name) == "data" and "models" in below), name
        assert not (part_of(name) == "chem" and below - {"chem", "errors"}), name
