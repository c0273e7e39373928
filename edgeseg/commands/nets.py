"""`edgeseg nets [NAME]`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    name: Annotated[str | None, typer.Argument(help="A network; all if left out.")] = None,
    imgsz: options.ImageSize = "288x384",
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Parameters and multiply-adds of the networks."""
    from edgeseg import console

    console.require("train", "torch")
    import torch
    from rich.table import Table

    from edgeseg.nets import NETS, build, check_size
    from edgeseg.nets.count import cost

    height, width = options.parse_size(imgsz or "288x384")
    table = Table("network", "parameters", "GMAC", "GMAC as tools count", title=f"at {height}x{width} (height x width)")
    rows = []
    for one in [name] if name else sorted(NETS):
        with torch.device("meta"):  # shapes alone: nothing is computed
            net = build(one)
        check_size(net, one, height, width)
        counted = cost(net, height, width)
        table.add_row(one, f"{counted.parameters:,}", f"{counted.gmac:.3f}", f"{counted.gmac_with_bn:.3f}")
        rows.append(
            {
                "name": one,
                "imgsz": [height, width],
                "parameters": counted.parameters,
                "gmac": round(counted.gmac, 6),
                "gmac_with_bn": round(counted.gmac_with_bn, 6),
            }
        )
    console.console(json_to, quiet=quiet).print(table)
    console.write_json(rows[0] if name else {"nets": rows}, json_to)
