//! UEFI Secure Boot: signing EFI programs (Authenticode), and the keys a machine has to know for it as signature
//! lists, authenticated variables and a variable store.
//!
//! Private keys never enter this process: `openssl` signs, with a key file or through PKCS#11. What is here puts
//! together what is to be signed, and checks every signature before it is used.

mod authenticode;
mod certificate;
mod cms;
mod error;
mod key;
mod keygen;
mod pe;
mod siglist;
mod variable;
mod varstore;

pub use authenticode::{Signature, State, attach, sign, signatures, signed_len, to_be_signed};
pub use certificate::Certificate;
pub use error::{Error, Result};
pub use key::{Key, Pin, Signer};
pub use keygen::{KeyPair, generate};
pub use pe::digest;
pub use siglist::{certificates, signature_list};
pub use variable::{Role, authenticated};
pub use varstore::enroll;
