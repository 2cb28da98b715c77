"""Import every module of the installed package: none may need an extra."""

import importlib
import pkgutil

import snaptune

names = [module.name for module in pkgutil.walk_packages(snaptune.__path__, "snaptune.")]
for name in names:
    if name != "snaptune.__main__":
        importlib.import_module(name)
print(f"{len(names)} modules imported")
