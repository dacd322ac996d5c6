//! Rejects the Ed25519 public keys of small order, which the libraries accept. If the key is the
//! identity point, one signature verifies for every message.

/// p = 2^255 - 19, little-endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The y coordinate of half of the points of order 8. The other half has [`ORDER_8_NEGATIVE`].
const ORDER_8: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
    0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];

const ORDER_8_NEGATIVE: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
    0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

/// Whether a public key may verify signatures: its encoding is canonical (y < p), and its point is
/// not of small order. The sign bit does not matter, because a small-order y gives a small-order
/// point with either sign.
pub(super) fn may_verify(mut point: [u8; 32]) -> bool {
    point[31] &= 0x7f;
    let reduced = point.iter().rev().lt(P.iter().rev());
    reduced && !small_order().contains(&point)
}

/// The y coordinates, below p, of all points whose order divides 8 (RFC 7748 §7, RFC 8032 §5.1): 0,
/// 1, -1 and the two values of order 8.
fn small_order() -> [[u8; 32]; 5] {
    let zero = [0; 32];
    let mut one = zero;
    one[0] = 1;
    let mut minus_one = P;
    minus_one[0] -= 1;
    [zero, one, minus_one, ORDER_8, ORDER_8_NEGATIVE]
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

    #[test]
    fn the_identity_point_verifies_any_message_and_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let key = UnparsedPublicKey::new(&ED25519, identity);
        assert!(
            key.verify(b"any", &signature).is_ok(),
            "the library takes it"
        );
        assert!(!may_verify(identity), "so we must not");
    }

    #[test]
    fn every_small_order_encoding_is_refused_with_either_sign() {
        for mut point in small_order() {
            assert!(!may_verify(point), "{point:02x?}");
            point[31] |= 0x80;
            assert!(!may_verify(point), "{point:02x?}");
        }
    }

    #[test]
    fn the_two_of_order_8_are_each_other_s_negative() {
        let mut carry = 0;
        for ((a, b), p) in ORDER_8.iter().zip(ORDER_8_NEGATIVE).zip(P) {
            let sum = u16::from(*a) + u16::from(b) + carry;
            assert_eq!(sum & 0xff, u16::from(p));
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
    }

    #[test]
    fn y_of_p_and_above_is_refused() {
        for low in 0xed..=0xff {
            let mut point = P;
            point[0] = low;
            assert!(!may_verify(point), "{low:x}");
            point[31] |= 0x80;
            assert!(!may_verify(point), "{low:x} with sign");
        }
        let mut point = P;
        point[0] = 0xeb;
        assert!(may_verify(point), "p - 2 is an ordinary y");
    }

    #[test]
    fn real_keys_pass() {
        for _ in 0..32 {
            let pair = Ed25519KeyPair::generate().unwrap();
            assert!(may_verify(pair.public_key().as_ref().try_into().unwrap()));
        }
    }
}
