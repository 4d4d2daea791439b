//! The certificates of one cluster: an authority, servers and clients, all gone with the cluster.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

/// A certificate and its key, as PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// Signs everything in one cluster.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pair: Pair,
}

impl Authority {
    pub fn new() -> Result<Authority, String> {
        let key = KeyPair::generate().map_err(|e| e.to_string())?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key).map_err(|e| e.to_string())?.pem();
        let pair = Pair {
            certificate,
            key: key.serialize_pem(),
        };
        Ok(Authority {
            issuer: Issuer::new(params, key),
            pair,
        })
    }

    /// For a server that is reached under `names`: DNS names and addresses.
    pub fn server(&self, name: &str, names: Vec<String>) -> Result<Pair, String> {
        let params = CertificateParams::new(names).map_err(|e| e.to_string())?;
        self.sign(name, &[], params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a user in `groups`, as the API server reads them from a subject.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Pair, String> {
        self.sign(
            user,
            groups,
            CertificateParams::default(),
            ExtendedKeyUsagePurpose::ClientAuth,
        )
    }

    fn sign(
        &self,
        name: &str,
        groups: &[&str],
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Pair, String> {
        // rcgen keeps one value per attribute type. The second spelling is the same type (2.5.4.10) on the wire.
        let spellings = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
        if groups.len() > spellings.len() {
            return Err(format!("a subject holds two groups here, not {groups:?}"));
        }
        params.distinguished_name = DistinguishedName::new();
        for (spelling, group) in spellings.into_iter().zip(groups) {
            params.distinguished_name.push(spelling, *group);
        }
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(|e| e.to_string())?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|e| e.to_string())?
            .pem();
        Ok(Pair {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

/// What service account tokens are signed with: the private key and the public one.
pub fn token_keys() -> Result<(String, String), String> {
    let key = KeyPair::generate().map_err(|e| e.to_string())?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}
