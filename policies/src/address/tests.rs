//! Rows 44 to 47 and 53 of the hostile inputs, and properties of unwrapping.

use super::AddressRefusal::*;
use super::*;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn verdict(vetter: &Vetter, address: &str) -> Result<(), AddressRefusal> {
    let address = SocketAddr::new(address.parse().unwrap(), 80);
    vetter
        .vet(address)
        .map(|vetted| assert_eq!(vetted.get(), address))
}

fn check(expected: Result<(), AddressRefusal>, addresses: &[&str]) {
    for address in addresses {
        assert_eq!(verdict(&Vetter::default(), address), expected, "{address}");
    }
}

fn allowing(networks: &[&str]) -> Vetter {
    let allowed = networks
        .iter()
        .map(|network| network.parse().unwrap())
        .collect();
    Vetter {
        allowed,
        ..Vetter::default()
    }
}

#[test]
fn public_addresses_pass() {
    check(
        Ok(()),
        &[
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
        ],
    );
    check(
        Ok(()),
        &[
            "126.255.255.255",
            "128.0.0.1",
            "223.255.255.255",
            "198.17.0.1",
            "192.0.1.1",
        ],
    );
    check(
        Ok(()),
        &[
            "2606:4700::1111",
            "2a00::1",
            "2001:200::1",
            "2001:4860:4860::8888",
        ],
    );
}

#[test]
fn row_44_this_machine_is_refused() {
    check(Err(Loopback), &["127.0.0.1", "127.255.255.255", "::1"]);
    check(Err(Unspecified), &["0.0.0.0", "0.1.2.3", "::"]);
}

#[test]
fn row_45_metadata_services_are_refused() {
    check(
        Err(LinkLocal),
        &["169.254.169.254", "100.100.100.200", "fd00:ec2::254"],
    );
    check(
        Err(LinkLocal),
        &["168.63.129.16", "169.254.170.2", "fd20:ce::254"],
    );
    check(
        Err(LinkLocal),
        &["::ffff:169.254.169.254", "64:ff9b::6464:64c8"],
    );
}

#[test]
fn row_46_space_that_is_not_public_is_refused() {
    check(
        Err(Private),
        &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"],
    );
    check(Err(Private), &["fc00::1", "fdff::1", "fec0::1"]);
    check(Err(SharedSpace), &["100.64.0.1", "100.127.255.255"]);
    check(Err(LinkLocal), &["169.254.0.1", "fe80::1", "febf::1"]);
    check(
        Err(Multicast),
        &["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1"],
    );
    check(
        Err(Reserved),
        &[
            "240.0.0.1",
            "255.255.255.254",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
        ],
    );
    check(
        Err(Reserved),
        &[
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
        ],
    );
    check(
        Err(Reserved),
        &[
            "100::1",
            "2001:db8::1",
            "2001:2::1",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ],
    );
}

#[test]
fn row_47_embedded_addresses_are_unwrapped() {
    check(
        Err(Loopback),
        &["::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"],
    );
    check(
        Err(Loopback),
        &["2002:7f00:1::", "64:ff9b:1::7f00:1", "::ffff:0:127.0.0.1"],
    );
    // Teredo: 80ff:fffe inverted is 7f00:1.
    check(Err(Loopback), &["2001:0:808:808:0:0:80ff:fffe"]);
    check(
        Err(Private),
        &["::ffff:10.0.0.1", "2002:a00:1::1", "64:ff9b::c0a8:1"],
    );
    check(
        Ok(()),
        &["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
    );
    check(Err(Reserved), &["64:ff9b:1::808:808"]);
}

#[test]
fn allowed_networks_allow_exactly_what_they_list() {
    let vetter = allowing(&["10.1.0.0/16", "127.0.0.1/32", "fd01::/16"]);
    for address in [
        "10.1.2.3",
        "127.0.0.1",
        "::ffff:10.1.2.3",
        "64:ff9b::a01:203",
        "fd01::1",
    ] {
        assert_eq!(verdict(&vetter, address), Ok(()), "{address}");
    }
    assert_eq!(verdict(&vetter, "10.2.0.1"), Err(Private));
    assert_eq!(verdict(&vetter, "127.0.0.2"), Err(Loopback));
    assert_eq!(verdict(&vetter, "::1"), Err(Loopback));
    // An IPv6 network that holds the wrapper as given.
    let vetter = allowing(&["64:ff9b:1::/48"]);
    assert_eq!(verdict(&vetter, "64:ff9b:1::808:808"), Ok(()));
}

#[test]
fn metadata_is_only_allowed_by_itself() {
    let broad = allowing(&["0.0.0.0/0", "::/0", "169.254.0.0/16", "169.254.169.254/31"]);
    assert_eq!(verdict(&broad, "169.254.1.1"), Ok(()));
    for address in ["169.254.169.254", "100.100.100.200", "fd00:ec2::254"] {
        assert_eq!(verdict(&broad, address), Err(LinkLocal), "{address}");
    }
    let exact = allowing(&["169.254.169.254/32", "fd00:ec2::254/128"]);
    assert_eq!(verdict(&exact, "169.254.169.254"), Ok(()));
    assert_eq!(verdict(&exact, "::ffff:169.254.169.254"), Ok(()));
    assert_eq!(verdict(&exact, "fd00:ec2::254"), Ok(()));
}

#[test]
fn a_wrapped_metadata_address_is_no_part_of_an_allowed_network() {
    let broad = allowing(&["::/0", "64:ff9b::/96"]);
    for address in [
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
    ] {
        assert_eq!(verdict(&broad, address), Err(LinkLocal), "{address}");
    }
}

#[test]
fn row_53_own_listeners_are_refused_whatever_is_allowed() {
    let vetter = Vetter {
        own_listeners: vec![
            "0.0.0.0:80".parse().unwrap(),
            "192.168.0.9:8080".parse().unwrap(),
        ],
        own_addresses: vec!["203.0.113.5".parse().unwrap(), "8.8.4.4".parse().unwrap()],
        ..allowing(&["0.0.0.0/0", "::/0"])
    };
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::",
        "0.0.0.0",
        "203.0.113.5",
        "8.8.4.4",
    ] {
        assert_eq!(verdict(&vetter, address), Err(OwnListener), "{address}");
    }
    assert_eq!(verdict(&vetter, "::ffff:8.8.4.4"), Err(OwnListener));
    assert_eq!(verdict(&vetter, "8.8.8.8"), Ok(()));
    let vet = |text: &str| vetter.vet(text.parse().unwrap()).map(VettedAddr::get);
    assert_eq!(vet("192.168.0.9:8080"), Err(OwnListener));
    assert_eq!(vet("[::ffff:192.168.0.9]:8080"), Err(OwnListener));
    assert_eq!(vet("0.0.0.0:8080"), Err(OwnListener));
    // Another address or port of this machine is somebody else's.
    assert!(vet("192.168.0.8:8080").is_ok());
    assert!(vet("127.0.0.1:81").is_ok());
}

proptest! {
    #[test]
    fn a_wrapper_is_judged_like_what_it_wraps(bits: u32) {
        let inner = Ipv4Addr::from(bits);
        let [high, low] = [bits >> 16, bits & 0xffff].map(|half| u16::try_from(half).unwrap());
        // The compatible form of the first addresses is `::` and `::1` themselves.
        prop_assume!(bits > 1);
        let wrappers = [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
        ];
        let plain = refusal(IpAddr::V4(inner));
        for wrapper in wrappers {
            prop_assert_eq!(embedded_v4(IpAddr::V6(wrapper)), Some(inner));
            prop_assert_eq!(refusal(IpAddr::V6(wrapper)), plain, "{}", wrapper);
        }
    }

    #[test]
    fn only_global_unicast_passes_in_ipv6(bits: u128) {
        let address = Ipv6Addr::from(bits);
        let passes = Vetter::default().vet(SocketAddr::new(IpAddr::V6(address), 443)).is_ok();
        let global = address.segments()[0] & 0xe000 == 0x2000;
        prop_assert!(!passes || global || embedded_v4(IpAddr::V6(address)).is_some());
    }
}
