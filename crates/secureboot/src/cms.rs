//! CMS `SignedData` (RFC 5652) with one signer and its certificate, as PKCS #7 wrote it: what Authenticode and
//! authenticated variables have in common.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::CmsVersion;
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo,
    SignerInfos,
};
use der::Any;
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::certificate::RSA_ENCRYPTION;
use crate::{Certificate, Result};

pub(crate) const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// An algorithm with the NULL that firmware's parsers expect.
pub(crate) fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: Some(Any::null()) }
}

/// `SignedData` over `content` with `attributes`, which are what was signed if there are any.
pub(crate) fn signed_data(
    content: EncapsulatedContentInfo,
    attributes: Option<SignedAttributes>,
    certificate: &Certificate,
    signature: &[u8],
) -> Result<SignedData> {
    let tbs = &certificate.parsed.tbs_certificate;
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: tbs.issuer.clone(),
            serial_number: tbs.serial_number.clone(),
        }),
        digest_alg: algorithm(SHA_256),
        signed_attrs: attributes,
        signature_algorithm: algorithm(RSA_ENCRYPTION),
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    Ok(SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![algorithm(SHA_256)])?,
        encap_content_info: content,
        certificates: Some(CertificateSet(SetOfVec::try_from(vec![CertificateChoices::Certificate(
            certificate.parsed.clone(),
        )])?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
    })
}
