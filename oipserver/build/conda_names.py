"""Which of conda's packages are Python packages, and what the Python package index calls them; reads no file."""

from __future__ import annotations

import re

_NAMES = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "pyarrow-core": "pyarrow",
    "pytables": "tables",
    "python-flatbuffers": "flatbuffers",
    "python-graphviz": "graphviz",
    "python-lmdb": "lmdb",
    "python-tzdata": "tzdata",
    "python-xxhash": "xxhash",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "tensorflow-base": "tensorflow",
}

# Programs, C libraries and other languages, as full exports of an environment list them: the wheels of Python packages
# bring what they need of these, a base image has some, and the rest is nothing pip could install.
_NO_PYTHON = re.compile(
    r"_.*|lib(?!rosa|cst|sass|tmux|usb1|clang$|linear$|pysal|archive-c$).*|ld_impl_.*|python_abi|numpy-base|"
    r"cuda.*|cudnn|nccl|pytorch-(cuda|mutex)|mkl|mkl-devel|blas.*|openblas|intel-openmp|llvm-openmp|tbb|tbb-devel|"
    r"(gcc|gxx|gfortran|binutils|kernel-headers|sysroot|clang|aws-c|aws-crt|aws-checksums|aws-sdk|azure-\w+-cpp|xorg|"
    r"font|fonts|qt|mysql|postgresql|perl|r|nodejs|ffmpeg|boost-cpp|grpc-cpp|arrow-cpp)([-_].*|6-.*)?|"
    r"openssl|ca-certificates|ncurses|readline|sqlite|tk|xz|zlib.*|zstd|bzip2|lz4-c|snappy|tzdata|icu|expat|"
    r"brotli-bin|c-ares|cairo|fontconfig|freetype|fribidi|gettext|giflib|glib|gmp|gnutls|graphite2|graphviz|harfbuzz|"
    r"hdf5|jpeg|keyutils|krb5|lame|lcms2|lerc|nettle|nspr|nss|openh264|openjpeg|openjdk|orc|pango|pcre2?|pixman|"
    r"pthread-stubs|re2|s2n|s2n-tls|x264|x265|yaml|zeromq|git|git-lfs|make|cmake|ninja|pkg-config|julia|rust|go|curl|wget"
)


def is_python_package(name: str) -> bool:
    """Whether conda's package ``name`` is one that pip may know."""
    return not _NO_PYTHON.fullmatch(name)


def pip_name(name: str) -> str:
    """The name on the Python package index of conda's package ``name``."""
    return _NAMES.get(name, name)
