//! Signs test tokens with a local key: for `lychgate token mint`, the demo's issuer and the tests.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{self as sign, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Algorithm;

mod private_jwk;

/// Why a key or a token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MintError(&'static str);

/// A private key that signs tokens with one algorithm.
pub struct Key {
    pair: Pair,
    algorithm: Algorithm,
    kid: String,
}

enum Pair {
    Elliptic(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Shows only public parts.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Signs these claims with the `typ` `at+jwt` (RFC 9068 §2.1). The caller provides all claims,
/// including `iss` and `exp`.
///
/// # Errors
/// Returns an error if the library cannot sign, which happens only with a broken key.
pub fn mint(key: &Key, claims: &Value) -> Result<String, MintError> {
    let header = json!({"alg": key.algorithm.name(), "kid": key.kid, "typ": "at+jwt"});
    key.sign(&header.to_string(), &claims.to_string())
}

impl Key {
    /// Generates a key for this algorithm. An RSA key has 2,048 bits. The `kid` is the key's
    /// thumbprint (RFC 7638).
    ///
    /// # Errors
    /// Returns an error if the library gets no random bytes.
    pub fn generate(algorithm: Algorithm) -> Result<Self, MintError> {
        let pair =
            match algorithm {
                Algorithm::ES256 => EcdsaKeyPair::generate(&sign::ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map(Pair::Elliptic),
                Algorithm::ES384 => EcdsaKeyPair::generate(&sign::ECDSA_P384_SHA384_FIXED_SIGNING)
                    .map(Pair::Elliptic),
                Algorithm::EdDSA => Ed25519KeyPair::generate().map(Pair::Edwards),
                _ => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
            };
        let pair = pair.map_err(|_| MintError("the key cannot be generated"))?;
        Ok(Self::new(pair, algorithm, None))
    }

    /// Reads a private key: PEM with `BEGIN PRIVATE KEY` (PKCS#8), or a private JWK. An RSA key
    /// without an `alg` signs with RS256.
    ///
    /// # Errors
    /// Returns a reason if the key is unusable. The reason contains no part of the text.
    pub fn read(text: &str) -> Result<Self, MintError> {
        if text.trim_start().starts_with('{') {
            return private_jwk::read(text.trim());
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
            MintError("is neither a PEM file with `BEGIN PRIVATE KEY` nor a private JWK")
        })?;
        let der = der.secret_pkcs8_der();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&sign::ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Ok(Self::new(Pair::Elliptic(pair), Algorithm::ES256, None));
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&sign::ECDSA_P384_SHA384_FIXED_SIGNING, der) {
            return Ok(Self::new(Pair::Elliptic(pair), Algorithm::ES384, None));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::new(Pair::Edwards(pair), Algorithm::EdDSA, None));
        }
        match RsaKeyPair::from_pkcs8(der) {
            Ok(pair) => Ok(Self::new(Pair::Rsa(pair), Algorithm::RS256, None)),
            Err(_) => Err(MintError("is not a P-256, P-384, Ed25519 or RSA key")),
        }
    }

    fn new(pair: Pair, algorithm: Algorithm, kid: Option<String>) -> Self {
        let kid = kid.unwrap_or_else(|| pair.thumbprint());
        Self {
            pair,
            algorithm,
            kid,
        }
    }

    /// The algorithm of the key's signatures.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` of the tokens that this key signs.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The private key as PEM (PKCS#8), the format that [`Key::read`] accepts. Store it in a file
    /// of mode 0600.
    ///
    /// # Errors
    /// Returns an error if the library cannot encode the key.
    pub fn private_pem(&self) -> Result<Zeroizing<String>, MintError> {
        let owned = |der: Pkcs8V1Der<'static>| Zeroizing::new(der.as_ref().to_vec());
        let der = match &self.pair {
            Pair::Elliptic(pair) => pair
                .to_pkcs8v1()
                .map(|der| Zeroizing::new(der.as_ref().to_vec())),
            Pair::Edwards(pair) => pair.as_der().map(owned),
            Pair::Rsa(pair) => pair.as_der().map(owned),
        };
        let der = der.map_err(|_| MintError("the key cannot be written"))?;
        let body = Zeroizing::new(STANDARD.encode(der.as_slice()));
        let mut pem = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
        for line in body.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// The public key as a JWK set of one key, for `jwks_file`.
    #[must_use]
    pub fn public_jwks(&self) -> String {
        json!({"keys": [self.public_jwk()]}).to_string()
    }

    /// The public key as a JWK.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.pair.required();
        jwk["kid"] = self.kid.as_str().into();
        jwk["alg"] = self.algorithm.name().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// Signs exactly this header and these claims, without any check of their content.
    ///
    /// # Errors
    /// Returns an error if the library cannot sign.
    pub fn sign(&self, header: &str, claims: &str) -> Result<String, MintError> {
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, MintError> {
        let random = SystemRandom::new();
        let made = match &self.pair {
            Pair::Elliptic(pair) => pair.sign(&random, message).map(|s| s.as_ref().to_vec()),
            Pair::Edwards(pair) => pair.try_sign(message).map(|s| s.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = rsa_padding(self.algorithm);
                pair.sign(padding, &random, message, &mut signature)
                    .map(|()| signature)
            }
        };
        made.map_err(|_| MintError("the token cannot be signed"))
    }
}

impl Pair {
    /// The thumbprint (RFC 7638): the SHA-256 of the required members, sorted by name, without
    /// white space.
    fn thumbprint(&self) -> String {
        let text = self.required().to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// The required members of the public key (RFC 7638). serde_json keeps them sorted by name.
    fn required(&self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Elliptic(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point.split_at(1).1.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"crv": curve, "kty": "EC", "x": b64(x), "y": b64(y)})
            }
            Self::Edwards(pair) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": b64(pair.public_key().as_ref())})
            }
            Self::Rsa(pair) => {
                let key = PublicKeyComponents::from(pair.public_key());
                json!({"e": b64(&key.e), "kty": "RSA", "n": b64(&key.n)})
            }
        }
    }
}

fn rsa_padding(algorithm: Algorithm) -> &'static dyn sign::RsaEncoding {
    match algorithm {
        Algorithm::RS384 => &sign::RSA_PKCS1_SHA384,
        Algorithm::RS512 => &sign::RSA_PKCS1_SHA512,
        Algorithm::PS256 => &sign::RSA_PSS_SHA256,
        Algorithm::PS384 => &sign::RSA_PSS_SHA384,
        Algorithm::PS512 => &sign::RSA_PSS_SHA512,
        _ => &sign::RSA_PKCS1_SHA256,
    }
}

#[cfg(test)]
mod tests;
