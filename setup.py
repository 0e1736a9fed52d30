"""The build begins with an empty build/lib: what an earlier build left there must not get into a wheel."""

import shutil

from setuptools import setup
from setuptools.command.build import build


class FreshBuild(build):
    """``build`` without leftovers."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build": FreshBuild})
