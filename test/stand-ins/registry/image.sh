#!/bin/sh
# image.sh DIR [python [apk]]: the files of a small image of a container, made of this machine's own: bash, what scripts call, and Python
# if asked for; with `apk` bash and Python are there once that has installed them.
set -e
umask 022
root=$1
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/var/log"
mkdir -m 700 "$root/root"
mkdir -m 1777 "$root/tmp"
# As on this machine: programs name their libraries by either path.
for name in bin sbin lib lib64; do [ ! -L "/$name" ] || ln -s "usr/$name" "$root/$name"; done
echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'a file of the image' >"$root/of-the-image"

# The programs and libraries that are given, with the libraries that those need.
copy() {
  cp -L --parents "$@" "$root"
  ldd "$@" 2>/dev/null | grep -o '/[^ :]*\.so[^ :]*' | sort -u | xargs -r cp -L --parents -t "$root"
}
for name in sh bash env cat ls ln rm mv cp mkdir chmod touch sleep readlink dirname basename chroot id hostname tr seq date; do
  copy "$(command -v "$name")"
done
[ "$2" = python ] || exit 0
copy /usr/bin/python3
library=$(/usr/bin/python3 -I -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
copy "$library"/lib-dynload/*.so
# The agent's needs are a fraction of it.
tar -C / -c --exclude='*/test' --exclude='*/tests' --exclude='*/idlelib' --exclude='*/ensurepip' --exclude='*/lib2to3' --exclude='*/pydoc_data' \
  --exclude='*/config-*' --exclude='*/dist-packages' --exclude='*/site-packages' --exclude='*.opt-?.pyc' "${library#/}" | tar -C "$root" -x
[ "$3" = apk ] || exit 0
mkdir "$root/usr/lib/packages"
mv "$root/usr/bin/bash" "$root/usr/bin/python3" "$root/usr/lib/packages"
cat >"$root/usr/sbin/apk" <<'PROGRAM'
#!/bin/sh
[ "$*" = 'add -q bash python3' ] && mv /usr/lib/packages/* /usr/bin
PROGRAM
chmod 755 "$root/usr/sbin/apk"
