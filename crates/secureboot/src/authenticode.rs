//! Authenticode signatures of EFI programs: what is signed, putting a signature in, and reading it back
//! (Microsoft's "Windows Authenticode Portable Executable Signature Format"; UEFI 2.10, 32.2.4).
//!
//! There is no time of signing in it: nothing could vouch for it, and the same key gives the same bytes.

use cms::content_info::ContentInfo;
use cms::signed_data::{EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode, Encode, Sequence, SliceReader, Tag, Tagged};
use twinhull_sysutil::digest::sha256;
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::cms::{SHA_256, algorithm, signed_data};
use crate::{Certificate, Result, Signer, pe};

const SPC_INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
const SPC_PE_IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// `SpcPeImageData` without flags and with the file name "<<<Obsolete>>>", as the specification wants it; without
/// the tag and length of its SEQUENCE.
const PE_IMAGE_DATA: &[u8] = b"\x03\x01\x00\xa0\x20\xa2\x1e\x80\x1c\
    \0<\0<\0<\0O\0b\0s\0o\0l\0e\0t\0e\0>\0>\0>";

/// `SpcIndirectDataContent`.
#[derive(Sequence)]
struct IndirectData {
    data: AttributeTypeAndValue,
    digest: DigestInfo,
}

/// `SpcAttributeTypeAndOptionalValue`.
#[derive(Sequence)]
struct AttributeTypeAndValue {
    kind: ObjectIdentifier,
    value: Any,
}

#[derive(Sequence)]
struct DigestInfo {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}

/// The content of a signature over the program.
fn indirect_data(program: &[u8]) -> Result<Any> {
    let value = Any::new(Tag::Sequence, PE_IMAGE_DATA)?;
    let digest = OctetString::new(pe::digest(program)?)?;
    Ok(Any::encode_from(&IndirectData {
        data: AttributeTypeAndValue { kind: SPC_PE_IMAGE_DATA, value },
        digest: DigestInfo { algorithm: algorithm(SHA_256), digest },
    })?)
}

fn attributes(content: &Any) -> Result<SignedAttributes> {
    let attribute = |oid, value: Any| -> Result<Attribute> {
        Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
    };
    // Without tag and length: so PKCS #7 had it, and Authenticode kept it.
    let digest = OctetString::new(sha256(content.value()))?;
    Ok(SetOfVec::try_from(vec![
        attribute(CONTENT_TYPE, Any::encode_from(&SPC_INDIRECT_DATA)?)?,
        attribute(MESSAGE_DIGEST, Any::encode_from(&digest)?)?,
    ])?)
}

/// The bytes that have to be signed (RSA, PKCS #1 v1.5, SHA-256) for `program`: DER of its signed attributes. They
/// don't depend on who signs.
///
/// Returns [`Error::NotPe`] and [`Error::CertificateTable`].
pub fn to_be_signed(program: &[u8]) -> Result<Vec<u8>> {
    Ok(attributes(&indirect_data(program)?)?.to_der()?)
}

/// The program with a signature over [`to_be_signed`], in place of any that it has.
///
/// Returns [`Error::Mismatch`] when the signature doesn't verify.
pub fn attach(program: &[u8], certificate: &Certificate, signature: &[u8]) -> Result<Vec<u8>> {
    certificate.verify(&to_be_signed(program)?, signature)?;
    pe::with_signature(program, &pkcs7(program, certificate, signature)?)
}

/// The program signed by `signer`.
pub fn sign(program: &[u8], signer: &Signer) -> Result<Vec<u8>> {
    attach(program, signer.certificate(), &signer.sign(&to_be_signed(program)?)?)
}

/// Length in bytes that the program has once it is signed for `certificate`.
pub fn signed_len(program: &[u8], certificate: &Certificate) -> Result<usize> {
    let signature = vec![0; certificate.signature_len];
    pe::length_with(program, pkcs7(program, certificate, &signature)?.len())
}

fn pkcs7(program: &[u8], certificate: &Certificate, signature: &[u8]) -> Result<Vec<u8>> {
    let content = indirect_data(program)?;
    let attributes = attributes(&content)?;
    let content = EncapsulatedContentInfo { econtent_type: SPC_INDIRECT_DATA, econtent: Some(content) };
    let data = signed_data(content, Some(attributes), certificate, signature)?;
    Ok(ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&data)? }.to_der()?)
}

/// A signature found in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The certificate that came with it and is the signer's.
    pub certificate: Option<Certificate>,
    /// Whether it is right.
    pub state: State,
}

/// What became of checking a signature. Whether its certificate is trusted is the machine's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It belongs to these bytes and this certificate.
    Verified,
    /// The program is not what was signed.
    Altered,
    /// The signature itself is wrong.
    Wrong,
    /// It is of a kind that isn't read here.
    Unreadable,
}

/// The signatures of a program, checked; none of one that is not signed.
///
/// Returns [`Error::NotPe`] and [`Error::CertificateTable`].
pub fn signatures(program: &[u8]) -> Result<Vec<Signature>> {
    let found = pe::signatures(program)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let digest = pe::digest(program)?;
    let unreadable = Signature { certificate: None, state: State::Unreadable };
    Ok(found.into_iter().map(|bytes| read(bytes, &digest).unwrap_or_else(|| unreadable.clone())).collect())
}

/// Reads one signature; `None` is one that can't be read.
fn read(pkcs7: &[u8], digest: &[u8; 32]) -> Option<Signature> {
    // What follows is padding.
    let info = ContentInfo::decode(&mut SliceReader::new(pkcs7).ok()?).ok()?;
    let data: SignedData = info.content.decode_as().ok()?;
    let [signer] = data.signer_infos.0.as_slice() else { return None };
    let SignerIdentifier::IssuerAndSerialNumber(id) = &signer.sid else { return None };
    let certificate = data.certificates.as_ref()?.0.iter().find_map(|choice| {
        let cms::cert::CertificateChoices::Certificate(found) = choice else { return None };
        let tbs = &found.tbs_certificate;
        let ours = tbs.issuer == id.issuer && tbs.serial_number == id.serial_number;
        ours.then(|| Certificate::from_der(&found.to_der().ok()?).ok()).flatten()
    })?;
    let content = data.encap_content_info.econtent?;
    let indirect: IndirectData = content.decode_as().ok()?;
    let attributes = signer.signed_attrs.as_ref()?;
    let stated = attributes.iter().find(|a| a.oid == MESSAGE_DIGEST)?.values.get(0)?;
    let right = stated.tag() == Tag::OctetString && stated.value() == sha256(content.value()).as_slice();
    let signed = certificate.verify(&attributes.to_der().ok()?, signer.signature.as_bytes()).is_ok();
    let state = match (right && signed, indirect.digest.digest.as_bytes() == digest.as_slice()) {
        (false, _) => State::Wrong,
        (true, false) => State::Altered,
        (true, true) => State::Verified,
    };
    Some(Signature { certificate: Some(certificate), state })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Error;
    use crate::key::tests::signer;

    /// The smallest PE32+ file with one section, and `extra` bytes behind it.
    pub(crate) fn program(extra: usize) -> Vec<u8> {
        let mut out = vec![0; 1024 + extra];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(0x3c, &[0x40]);
        put(0x40, b"PE\0\0\x64\x86\x01\0");
        put(0x54, &[240, 0]);
        let optional = 0x58;
        put(optional, &[0x0b, 0x02]);
        put(optional + 32, &4096_u32.to_le_bytes());
        put(optional + 36, &512_u32.to_le_bytes());
        put(optional + 60, &512_u32.to_le_bytes());
        put(optional + 64, &[1, 2, 3, 4]);
        put(optional + 108, &[16]);
        put(optional + 240, b".text\0\0\0");
        put(optional + 240 + 16, &512_u32.to_le_bytes());
        put(optional + 240 + 20, &512_u32.to_le_bytes());
        out
    }

    #[test]
    fn a_signature_is_read_back_and_a_changed_program_is_not() {
        let (dir, signer) = signer();
        let plain = program(5);
        let signed = sign(&plain, &signer).unwrap();
        assert_eq!(signed.len(), signed_len(&plain, signer.certificate()).unwrap());
        assert_eq!(sign(&signed, &signer).unwrap(), signed, "signing again changes nothing");
        let found = signatures(&signed).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].state, State::Verified);
        assert_eq!(found[0].certificate.as_ref(), Some(signer.certificate()));
        assert!(signatures(&plain).unwrap().is_empty());

        let state = |at: usize| {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            signatures(&changed).unwrap()[0].state
        };
        assert_eq!(state(600), State::Altered);
        assert_eq!(state(signed.len() - 20), State::Wrong);
        let signature = vec![1; 256];
        let error = attach(&plain, signer.certificate(), &signature).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        for at in (1032..signed.len()).step_by(3) {
            let mut changed = signed.clone();
            changed[at] ^= 0xFF;
            let _ = signatures(&changed);
        }
        drop(dir);
    }
}
