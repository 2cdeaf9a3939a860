"""Our tensors under the names that the official code has for them."""


def official_names(tensors):
    """Tensors of an encoder, by our names (its weights, or their gradients), by the official ones."""
    official = {}
    for name, tensor in tensors.items():
        if name.endswith("bond_embedding"):
            place = name.replace("layers", "gnns").removesuffix("bond_embedding")
            official[f"{place}edge_embedding1.weight"] = tensor[:5]
            official[f"{place}edge_embedding2.weight"] = tensor[5:]
        elif ".linear." in name:
            official[name.replace("layers", "gnns").replace("linear.", "")] = tensor.T if tensor.ndim == 2 else tensor
        else:
            for ours, theirs in (
                ("atom_embedding", "x_embedding1"),
                ("chirality_embedding", "x_embedding2"),
                ("readout", "feat_lin"),
                ("layers", "gnns"),
                ("norms", "batch_norms"),
            ):
                name = name.replace(ours, theirs)
            official[name] = tensor
    return official
