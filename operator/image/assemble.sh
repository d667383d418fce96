#!/bin/sh
# Makes the content of the image, a folder for each layer. The Dockerfile runs it, and `make image` does what the Dockerfile
# says. It needs Debian 12 with apt-get and dpkg-deb, no root, and nothing installed: Python is the one that it unpacks, pip
# lies beside it, and both run from there, so that it is the same on every machine.
set -eu
umask 022

# What goes into the image. Dependencies are not followed: what Python needs is here, and a test loads all of it.
PACKAGES="base-files ca-certificates libc6 libgcc-s1 gcc-12-base zlib1g libexpat1 libffi8 libssl3 libsqlite3-0
          libuuid1 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib"
# What only makes it: pip, and what takes symbols out of libraries.
TOOLS="python3-pip-whl binutils-$(uname -m | tr _ -)-linux-gnu libbinutils libzstd1"

# Of the standard library: extensions whose C libraries are left out, and what serves to develop, to test or to draw.
LEFT_OUT_EXTENSIONS="_bz2 _crypt _curses _curses_panel _dbm _lzma nis readline ossaudiodev"
LEFT_OUT_MODULES="__phello__ curses dbm distutils ensurepip idlelib lib2to3 pydoc_data test tkinter turtledemo turtle.py"
# Of the Kubernetes client: a class for each kind and route, 70 MB. Angarium uses paths and dicts.
LEFT_OUT_CLASSES="client/api client/models aio/client/api aio/client/models"
# It alone needs the library of C++, 2 MB; the same in Python stands beside it.
LEFT_OUT_LIBRARIES="frozenlist/_frozenlist.cpython-*.so"

LIBRARY=usr/lib/python3.11
SITE=usr/local/lib/python3.11/dist-packages
BUNDLE=etc/ssl/certs/ca-certificates.crt

usage() {
    echo "usage: assemble.sh debian FOLDER TOOLS | dependencies FOLDER TOOLS REQUIREMENTS |" \
        "angarium FOLDER TOOLS BUILD_REQUIREMENTS | data FOLDER" >&2
    exit 2
}

# The layer of Debian's packages. In TOOLS: root, the same before anything was left out, and more, the tools beside it.
debian() {
    out=$1 tools=$2
    mkdir -p "$out/var/lib/dpkg/status.d" "$tools/more" "$scratch/debs"
    download
    for deb in "$scratch"/debs/*.deb; do
        name=$(dpkg-deb -f "$deb" Package)
        case " $TOOLS " in
            *" $name "*) dpkg-deb -x "$deb" "$tools/more" ;;
            *)
                dpkg-deb -x "$deb" "$out"
                # Where scanners look for packages in an image without dpkg.
                dpkg-deb -f "$deb" > "$out/var/lib/dpkg/status.d/$name"
                dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./md5sums > "$out/var/lib/dpkg/status.d/$name.md5sums" ;;
        esac
    done
    configure
    cp -a "$out" "$tools/root"
    strip_debian
    compile "$out/$LIBRARY"
    settle
}

# apt with a state of its own: this machine's lists and packages are neither used nor touched; its sources and settings are.
download() {
    mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/archives/partial"
    cat > "$scratch/apt.conf" << CONF
Dir::State "$scratch/apt";
Dir::State::status "/dev/null";
Dir::Cache "$scratch/apt";
Dir::Etc::preferences "$scratch/preferences";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
    cat > "$scratch/preferences" << PREFERENCES
Package: *
Pin: release o=Debian, n=bookworm*
Pin-Priority: 900

Package: *
Pin: release o=*
Pin-Priority: -1
PREFERENCES
    apt-get -c "$scratch/apt.conf" -qq update
    # shellcheck disable=SC2086
    (cd "$scratch/debs" && apt-get -c "$scratch/apt.conf" -qq download $PACKAGES $TOOLS)
}

# What the packages' own scripts would do; there is nothing that could run them.
configure() {
    mkdir -p "$out/etc/ssl/certs" "$out/usr/lib/ssl"
    chmod 1777 "$out/tmp"
    find "$out/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | xargs cat > "$out/$BUNDLE"
    ln -s "/$BUNDLE" "$out/usr/lib/ssl/cert.pem"
    printf '%s\n' 'root:x:0:0:root:/:/sbin/nologin' \
        'angarium:x:65532:65532:Angarium:/var/lib/angarium:/sbin/nologin' > "$out/etc/passwd"
    printf '%s\n' 'root:x:0:' 'angarium:x:65532:' > "$out/etc/group"
    printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' 'services: files' > "$out/etc/nsswitch.conf"
}

strip_debian() {
    find "$out/usr/share/doc" -mindepth 2 ! -type d ! -name copyright -delete
    (
        cd "$out"
        rm -rf usr/lib/*/gconv usr/share/ca-certificates bin sbin usr/sbin usr/games usr/include usr/src usr/local
        find etc -mindepth 1 -maxdepth 1 ! -name passwd ! -name group ! -name nsswitch.conf ! -name ssl ! -name os-release \
            ! -name debian_version ! -name host.conf ! -name dpkg ! -name 'python3*' -exec rm -rf {} +
        find usr/share -mindepth 1 -maxdepth 1 ! -name doc ! -name common-licenses -exec rm -rf {} +
        find var -mindepth 1 -maxdepth 1 ! -name lib ! -name tmp -exec rm -rf {} +
        for name in $LEFT_OUT_EXTENSIONS; do rm "$LIBRARY/lib-dynload/$name".cpython-*; done
        for name in $LEFT_OUT_MODULES; do rm -rf "${LIBRARY:?}/$name"; done
        find . -depth -mindepth 1 -type d -empty ! -name proc ! -name sys ! -name dev ! -name run ! -path ./tmp \
            ! -path ./var/tmp -delete
    )
}

# The layer of the locked wheels.
dependencies() {
    out=$1 tools=$2 requirements=$3
    pip install --require-hashes --target "$out/$SITE" --requirement "$requirements"
    for folder in $LEFT_OUT_CLASSES; do
        find "$out/$SITE" -path "*/kubernetes/$folder/*.py" ! -name __init__.py -delete
    done
    # shellcheck disable=SC2086
    (cd "$out/$SITE" && rm -f $LEFT_OUT_LIBRARIES)
    settle_packages
}

# The layer of Angarium itself: its wheel, and the program that starts it.
angarium() {
    out=$1 tools=$2 requirements=$3
    pip install --require-hashes --target "$scratch/build" --requirement "$requirements"
    PYTHONPATH="$scratch/build" python -m hatchling build -t wheel -d "$scratch/wheels" 2> "$scratch/log" ||
        { cat "$scratch/log" >&2; exit 1; }
    # By its name: of a path, pip would write down where it was.
    pip install --no-index --find-links "$scratch/wheels" --target "$out/$SITE" angarium
    mkdir -p "$out/usr/local/bin"
    cp operator/image/angarium "$out/usr/local/bin/angarium"
    chmod 755 "$out/usr/local/bin/angarium"
    settle_packages
}

# The folder of the data: the Dockerfile gives it to the user that the program runs as.
data() {
    out=$1
    mkdir -p "$out"
    settle
}

settle_packages() {
    # Programs of packages start a Python where it was unpacked; the lists of files have their digests.
    rm -rf "${out:?}/$SITE/bin"
    sed -i '/^\(\.\.\/\)*bin\//d' "$out/$SITE"/*.dist-info/RECORD
    find "$out/$SITE" -depth -type d \( -name tests -o -name test \) -exec rm -rf {} +
    find "$out/$SITE" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.px[di]' -o -name '*.[ch]' \) -delete
    # Wheels may bring libraries with all symbols: 20 MB that only a debugger reads.
    find "$out/$SITE" -name '*.so' | while read -r library; do
        with_tools "$(echo "$tools"/more/usr/bin/*-strip)" --strip-unneeded "$library"
    done
    compile "$out/$SITE"
    settle
}

# A program in TOOLS, with the libraries there, whatever this machine has.
with_tools() {
    loader=$(echo "$tools"/root/lib/*-linux-gnu*/ld-linux-*.so.*)
    libraries=$(dirname "$loader")
    triplet=$(basename "$libraries")
    "$loader" --library-path "$libraries:$tools/root/usr/lib/$triplet:$tools/more/usr/lib/$triplet" "$@"
}

# The image's Python. It can start no child of its own kind.
python() {
    PYTHONHOME="$tools/root/usr" PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 SOURCE_DATE_EPOCH=315532800 \
        with_tools "$tools/root/usr/bin/python3.11" "$@"
}

pip() {
    # Debian's small base image has no certificates: then those that were just unpacked.
    [ -e "/$BUNDLE" ] || export PIP_CERT="${PIP_CERT:-$tools/root/$BUNDLE}"
    PYTHONPATH=$(echo "$tools"/more/usr/share/python-wheels/pip-*.whl) PIP_ROOT_USER_ACTION=ignore \
        python -m pip "$@" --quiet --disable-pip-version-check --no-deps --only-binary :all: --no-compile
}

# Bytecode that is taken as it is: in an image it cannot be stale, and could not be written again.
compile() {
    python -m compileall -q --invalidation-mode unchecked-hash -s "$out" -p / "$1"
}

# No file tells when it was made: the same content is the same layer.
settle() {
    find "$out" -exec touch -h -d @0 {} +
}

case "${1:-}/$#" in
    debian/3 | dependencies/4 | angarium/4 | data/2) ;;
    *) usage ;;
esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$@"
