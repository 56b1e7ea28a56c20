"""Vagrant for checking the Vagrantfile: the machine's own, or Debian's, unpacked without root."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import away, debian
from lab.errors import LabError
from lab.progress import Progress
from lab.settings import CHECKOUT

TOOLS = CHECKOUT / "var" / "tools"
FOLDER = TOOLS / "vagrant"
PACKAGE = "vagrant"
#: Every Debian has these, with files of its own that they would not find elsewhere.
OF_THE_MACHINE = (
    *("adduser", "debconf", "dpkg", "gcc-12-base", "init-system-helpers", "libc6", "libcrypt1"),
    *("libgcc-s1", "libpam-modules", "libpam-modules-bin", "libpam0g", "libperl5.36", "passwd"),
    *("perl", "perl-base", "perl-modules-5.36", "tar", "usrmerge"),
)

# Ruby has the place of its files compiled in; here it is told where they lie.
WRAPPER = """\
#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
usr="$here/root/usr"
join() { printf '%s\\n' "$@" | paste -sd: -; }
LD_LIBRARY_PATH=$(join "$usr"/lib/*-linux-gnu* "$here"/root/lib/*-linux-gnu*)
RUBYLIB=$(join "$usr"/lib/ruby/vendor_ruby "$usr"/lib/*-linux-gnu*/ruby/vendor_ruby/* \\
    "$usr"/lib/ruby/[0-9]* "$usr"/lib/*-linux-gnu*/ruby/[0-9]*)
GEM_PATH=$(join "$usr"/share/rubygems-integration/all \\
    "$usr"/lib/*-linux-gnu*/rubygems-integration/* "$usr"/lib/ruby/gems/*)
GEM_HOME="$here/gems" VAGRANT_HOME="$here/home"
PATH="$PATH:$usr/bin"  # rsync, which it looks for
export PATH LD_LIBRARY_PATH RUBYLIB GEM_PATH GEM_HOME VAGRANT_HOME
exec "$usr/bin/ruby" "$usr/bin/vagrant" "$@"
"""


def program() -> str:
    """Where `vagrant` is, or will be once `ensure` has run."""
    return shutil.which("vagrant") or str(FOLDER / "bin" / "vagrant")


def ensure(progress: Progress) -> None:
    """Unpacks it once, if the machine has none. Raises LabError that says how to get one."""
    if Path(program()).exists():
        return
    try:
        with progress.step("Vagrant, from Debian's packages"):
            _unpack()
    except LabError as error:
        raise LabError(
            f"checking the Vagrantfile needs Vagrant, and none can be had: {error}\n"
            "Install it (Debian: apt-get install vagrant), so that `vagrant` is on PATH"
        ) from error


def _unpack() -> None:
    draft = FOLDER.with_suffix(".new")
    away.remove(draft)
    (draft / "root").mkdir(parents=True)
    apt = debian.Apt(draft / "apt")
    for file in apt.download([PACKAGE], without=OF_THE_MACHINE):
        debian.unpack(file, draft / "root")
    away.remove(draft / "apt")
    wrapper = draft / "bin" / "vagrant"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER, encoding="ascii")
    wrapper.chmod(0o755)
    away.remove(FOLDER)
    draft.rename(FOLDER)
