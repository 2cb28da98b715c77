"""`snaptune cache`."""

from __future__ import annotations

import argparse

from snaptune.cli.options import Commands


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("cache", help="list prepared pictures that are kept, or clear them")
    parser.add_argument("--clear", action="store_true", help="delete all but what is being built")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.cli.table import aligned
    from snaptune.data.cache_folder import cache_folder
    from snaptune.data.prepared_store import clear_caches, list_caches

    folder = cache_folder() / "prepared"
    if args.clear:
        print(f"{clear_caches(folder) / 2**20:,.0f} MiB freed in {folder}")
        return
    kept = list_caches(folder)
    if kept:
        header = ("dataset", "pictures", "pixels", "MiB", "folder")
        rows = [
            (
                item.dataset,
                f"{item.pictures:,}",
                str(item.size),
                f"{item.bytes / 2**20:,.0f}",
                item.path.name[:12],
            )
            for item in kept
        ]
        print("\n".join(aligned([header, *rows], right=range(1, 4))))
    print(f"{len(kept)} kept in {folder}")
