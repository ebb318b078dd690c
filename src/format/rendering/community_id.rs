//! [Community ID](https://github.com/corelight/community-id-spec), version 1 with seed 0: one name for a connection in the logs of Zeek, Suricata, Wireshark and whoever else saw it, from whichever side.

use std::net::IpAddr;

use crate::model::base64;

/// An end of a connection.
pub type Endpoint = (IpAddr, u16);

/// The ID of a connection over a protocol that has ports. `None` for a protocol that is not known here, or when one end is IPv4 and the other IPv6.
pub fn community_id(protocol: &str, source: Endpoint, destination: Endpoint) -> Option<String> {
    let number = match &protocol.to_ascii_lowercase()[..] {
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        _ => return None,
    };
    if source.0.is_ipv4() != destination.0.is_ipv4() {
        return None;
    }
    let ends = [source.min(destination), source.max(destination)];
    let mut hash = sha1_smol::Sha1::new();
    // the seed
    hash.update(&[0, 0]);
    for (address, _) in ends {
        match address {
            IpAddr::V4(address) => hash.update(&address.octets()),
            IpAddr::V6(address) => hash.update(&address.octets()),
        }
    }
    hash.update(&[number, 0]);
    for (_, port) in ends {
        hash.update(&port.to_be_bytes());
    }
    Some(format!("1:{}", base64::encode(&hash.digest().bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the baseline of the specification.
    const BASELINE: [(&str, &str, u16, &str, u16, &str); 4] = [
        ("tcp", "128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("udp", "192.168.1.52", 54585, "8.8.8.8", 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        ("sctp", "192.168.170.8", 7, "192.168.170.56", 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (
            "TCP",
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            63943,
            "2607:f8b0:400c:c03::1a",
            25,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
    ];

    #[test]
    fn ids_are_those_of_the_specification_from_both_sides() {
        for (protocol, source, source_port, destination, destination_port, id) in BASELINE {
            let (source, destination) = (
                (source.parse().unwrap(), source_port),
                (destination.parse().unwrap(), destination_port),
            );
            assert_eq!(community_id(protocol, source, destination).as_deref(), Some(id));
            assert_eq!(community_id(protocol, destination, source).as_deref(), Some(id));
        }
    }

    #[test]
    fn some_connections_have_none() {
        let [four, six]: [Endpoint; 2] =
            [("10.0.0.1".parse().unwrap(), 1), ("::1".parse().unwrap(), 2)];
        assert_eq!(community_id("icmp", four, four), None);
        assert_eq!(community_id("tcp", four, six), None);
    }
}
