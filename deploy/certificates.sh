#!/bin/sh
# Makes the certificates of a deployment: certificates.sh DIRECTORY [NAME...]
# An authority in DIRECTORY/ca, and for each name DIRECTORY/NAME/{ca.crt,tls.crt,tls.key}; without names, those of the parts.
# A certificate that is there is kept until 30 days before its end, then renewed with the same authority.
# OWNERS="postgres=999 temporal=1000" gives keys to the users that read them (as root only).
set -eu
umask 077
[ $# -gt 0 ] || { echo "usage: certificates.sh DIRECTORY [NAME...]" >&2; exit 2; }
directory=$1
shift
[ $# -gt 0 ] || set -- postgres temporal worker ui
RENEW=2592000 # 30 days, in seconds
mkdir -p "$directory"
chmod 755 "$directory"
cd "$directory"

# Beside, then renamed: whoever is killed here leaves no half a key.
key() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.new"
  mv "$1.new" "$1"
}

if [ ! -s ca/ca.crt ]; then
  mkdir -p ca
  key ca/ca.key
  openssl req -x509 -new -key ca/ca.key -days 3650 -subj "/CN=styx" -out ca/ca.crt.new \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
  mv ca/ca.crt.new ca/ca.crt
fi

for name; do
  case $name in
    ca | *[!a-z0-9-]* | '') echo "certificates.sh: a name is of a-z, 0-9 and '-', and is not ca: '$name'" >&2; exit 2 ;;
  esac
  mkdir -p "$name"
  chmod 755 "$name"
  if ! openssl x509 -checkend $RENEW -noout -in "$name/tls.crt" >/dev/null 2>&1; then
    key "$name/tls.key"
    # PostgreSQL takes the common name for the name of its user.
    openssl req -new -key "$name/tls.key" -subj "/CN=$name" -out "$name/request"
    printf '%s\n' "subjectAltName=DNS:$name,DNS:localhost,IP:127.0.0.1" "extendedKeyUsage=serverAuth,clientAuth" \
      "basicConstraints=CA:FALSE" "keyUsage=digitalSignature" >"$name/extensions"
    openssl x509 -req -in "$name/request" -CA ca/ca.crt -CAkey ca/ca.key -CAcreateserial -days 365 \
      -extfile "$name/extensions" -out "$name/tls.crt.new" 2>/dev/null
    mv "$name/tls.crt.new" "$name/tls.crt"
    rm "$name/request" "$name/extensions"
  fi
  cp ca/ca.crt "$name/ca.crt.new"
  mv "$name/ca.crt.new" "$name/ca.crt"
  chmod 644 "$name/ca.crt" "$name/tls.crt"
  for owner in ${OWNERS:-}; do
    [ "${owner%%=*}" != "$name" ] || chown "${owner#*=}" "$name/tls.key"
  done
done
