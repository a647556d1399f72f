//! Security.

use crate::config::definition::Effect::WithoutEffect;
use crate::config::definition::{ConfigDefinition, boolean, list, password, string};

pub(super) const SECURITY: &[ConfigDefinition] = &[
    list("sasl.enabled.mechanisms", "GSSAPI", WithoutEffect, "SASL mechanisms offered."),
    password("ssl.keystore.certificate.chain", "", WithoutEffect, "Certificate chain in PEM.").without_default(),
    password("ssl.keystore.key", "", WithoutEffect, "Private key in PEM.").without_default(),
    password("ssl.truststore.certificates", "", WithoutEffect, "Trusted certificates in PEM.").without_default(),
    string("super.users", "", WithoutEffect, "Principals that may do everything."),
    boolean(
        "allow.everyone.if.no.acl.found",
        "false",
        WithoutEffect,
        "Whether a resource without an ACL is open to all.",
    ),
    string("authorizer.class.name", "", WithoutEffect, "Which authorizer decides."),
];
