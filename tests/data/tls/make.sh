#!/bin/sh
# Makes the certificates and keys of the tests anew, good for a hundred years. They protect nothing.
set -eu
cd "$(dirname "$0")"

days=36500
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }

for ca in ca other-ca; do
    key "$ca.key"
    openssl req -x509 -new -key "$ca.key" -subj "/CN=rustbgpd tests $ca" -days $days \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" -out "$ca.pem"
done

# NAME CA EXTENSIONS
leaf() {
    key "$1.key"
    openssl req -new -key "$1.key" -subj "/CN=rustbgpd tests $1" -out request.pem
    printf '%s\n' "$3" >extensions
    openssl x509 -req -in request.pem -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days $days \
        -extfile extensions -out "$1.pem"
    rm -f request.pem extensions "$2.srl"
}
leaf server ca "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1,IP:10.0.0.1
extendedKeyUsage=serverAuth"
leaf client ca "extendedKeyUsage=clientAuth"
leaf stranger other-ca "extendedKeyUsage=clientAuth"
rm -f ca.key other-ca.key
