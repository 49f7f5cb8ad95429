//! `tls_cert`, `tls_key`, `tls_client_ca` of a listener: files in PEM, read here to say what is wrong with them. Control
//! reads them again, by the fds that it is given.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::reader::{At, Reader, Table};
use super::schema::TlsFiles;

/// The longest file that is read, in octets.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads the three keys of `t`; `None` where there is no TLS, or where something is wrong with it.
pub(super) fn read<'s>(r: &mut Reader<'s>, t: &Table<'s>) -> Option<TlsFiles> {
    let [cert, key, client_ca] = ["tls_cert", "tls_key", "tls_client_ca"].map(|name| r.text(t, name));
    let given = ["tls_cert", "tls_key", "tls_client_ca"].map(|name| t.key_span(name).is_some());
    if matches!(given, [true, false, _] | [false, true, _] | [false, false, true]) {
        let message = "tls_cert and tls_key belong together, and tls_client_ca needs both".to_owned();
        let place = [&cert, &key, &client_ca].into_iter().flatten().next().map(|path| path.span.clone());
        r.problem(message, "the others are missing".to_owned(), place.unwrap_or_else(|| t.span.clone()));
        return None;
    }
    let (cert, key) = (cert?, key?);
    let certs = checked(r, "tls_cert", &cert, certificates);
    let private = checked(r, "tls_key", &key, private_key);
    if let (Some(certs), Some(private)) = (certs, private) {
        checked(r, "tls_key", &key, |_| fits(certs, private));
    }
    let client_ca = client_ca.map(|ca| (checked(r, "tls_client_ca", &ca, authorities), ca));
    Some(TlsFiles {
        cert: cert.value.into(),
        key: key.value.into(),
        client_ca: client_ca.map(|(_, ca)| ca.value.into()),
    })
}

/// What `read` makes of a file; what is wrong with it is noted.
fn checked<'s, T>(
    r: &mut Reader<'s>,
    key: &str,
    path: &At<&'s str>,
    read: impl FnOnce(&Path) -> Result<T, String>,
) -> Option<T> {
    let found = read(Path::new(path.value));
    found.map_err(|why| r.invalid(key, path.span.clone(), why)).ok()
}

fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let cannot = |e: std::io::Error| format!("cannot read it: {e}");
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("must be a regular file".to_owned());
    }
    let mut octets = Zeroizing::new(Vec::new());
    File::open(path).map_err(cannot)?.take(MAX_FILE).read_to_end(&mut octets).map_err(cannot)?;
    Ok(octets)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&contents(path)?).collect();
    match found {
        Ok(certs) if !certs.is_empty() => Ok(certs),
        _ => Err("must hold certificates in PEM (-----BEGIN CERTIFICATE-----)".to_owned()),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&contents(path)?)
        .map_err(|_| "must hold a private key in PEM, not encrypted (-----BEGIN PRIVATE KEY-----)".to_owned())
}

fn fits(certs: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), String> {
    let key = ring::sign::any_supported_type(&key)
        .map_err(|_| "must be an RSA, ECDSA (P-256, P-384) or Ed25519 key".to_owned())?;
    match CertifiedKey::new(certs, key).keys_match() {
        Ok(()) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err("is not the key of the first certificate in tls_cert".to_owned())
        }
        Err(e) => Err(format!("does not work with tls_cert: {e}")),
    }
}

fn authorities(path: &Path) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(path)? {
        roots.add(cert).map_err(|e| format!("a certificate cannot sign others: {e}"))?;
    }
    Ok(())
}
