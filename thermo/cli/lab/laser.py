"""``spinlogit lab laser``."""

from __future__ import annotations

from typing import Annotated

import typer

from thermo.cli.lab.present import PictureOption, check_picture, present
from thermo.cli.output import JsonFlag, OverwriteFlag, SeedOption

__all__ = ["laser_command"]


def laser_command(
    levels: Annotated[
        int, typer.Option("--levels", help="Of the laser that is switched on: 2, 3 or 4.")
    ] = 4,
    pump: Annotated[
        float | None,
        typer.Option("--pump", help="Its Wτ.  [default: twice its threshold, 10 without one]"),
    ] = None,
    lifetime: Annotated[
        float, typer.Option("--lifetime", help="τ of the upper level; seconds with --wavelength.")
    ] = 1.0,
    fast_lifetime: Annotated[
        float | None,
        typer.Option("--fast-lifetime", help="θ of levels that empty quickly.  [default: τ/10⁵]"),
    ] = None,
    photon_lifetime: Annotated[
        float | None,
        typer.Option("--photon-lifetime", help="τ_c between the mirrors.  [default: τ/1000]"),
    ] = None,
    atoms: Annotated[float, typer.Option("--atoms", help="N.")] = 1e10,
    spontaneous_fraction: Annotated[
        float, typer.Option("--spontaneous-fraction", help="Of the emission, into the mode.")
    ] = 1e-6,
    wavelength: Annotated[
        float | None,
        typer.Option("--wavelength", help="In nm, for kelvins and watts."),
    ] = None,
    out: PictureOption = None,
    overwrite: OverwriteFlag = False,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Lasers of two, three and four levels: gain is a negative temperature.

    Inversion against pump, the temperature of the laser line, threshold, and the spikes of a laser
    that is switched on. Nothing here is random.

    Examples:

      spinlogit lab laser --out laser.png

      spinlogit lab laser --levels 3 --pump 3 --out ruby.png

      spinlogit lab laser --wavelength 1064 --lifetime 230e-6 --photon-lifetime 230e-9 --json
    """
    check_picture(out, overwrite)
    from thermo.arguments import finite_number
    from thermo.laboratory.laser import laser

    found = laser(
        levels,
        pump,
        lifetime=lifetime,
        fast_lifetime=fast_lifetime,
        photon_lifetime=photon_lifetime,
        atoms=atoms,
        spontaneous_fraction=spontaneous_fraction,
        wavelength=None if wavelength is None
        else 1e-9 * finite_number(wavelength, "--wavelength", positive=True),
    )  # fmt: skip
    present(found, out, as_json)
