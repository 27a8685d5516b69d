//! Every attack of The Update Framework's list that documents can carry, against a machine that checks for updates.
//! Slow servers are the download's business, altered images that of the whole-slot check.

use std::collections::BTreeMap;

use proptest::prelude::*;
use twinhull_release::{
    Artefact, Attack, Channel, Checked, Document, Envelope, Error, Kind, MAX_DOCUMENT, Machine, PublicKey,
    Release, Result, Root, Rule, SecretKey, Source, SourceError, State, check, names,
};

const DAY: u64 = 86_400;
/// When everything here happens, seconds since 1970.
const NOW: u64 = 1_800_000_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn rule(threshold: u32, seeds: &[u8]) -> Rule {
    Rule { keys: seeds.iter().map(|seed| key(*seed).public()).collect(), threshold }
}

fn signed<D: Document>(document: &D, seeds: &[u8]) -> Envelope {
    let mut envelope = Envelope::new(document).expect("a document that can be written");
    seeds.iter().for_each(|seed| envelope.sign(&key(*seed)));
    envelope
}

/// Two of three keys sign the root, one of two releases, one channels.
fn first_root() -> Root {
    Root {
        format: 1,
        image: "box".into(),
        version: 1,
        expires: NOW + 400 * DAY,
        root: rule(2, &[1, 2, 3]),
        release: rule(1, &[4, 5]),
        channel: rule(1, &[6]),
    }
}

fn release(version: &str) -> Release {
    let artefact = |length| Artefact { length, sha256: "ab".repeat(32) };
    Release {
        format: 1,
        image: "box".into(),
        version: version.into(),
        arch: "x86-64".into(),
        created: NOW - DAY,
        root_hash: "cd".repeat(32),
        usr: artefact(5 << 30),
        usr_index: artefact(5 << 20),
        verity: artefact(41 << 20),
        uki: artefact(30 << 20),
        uki_index: artefact(3 << 10),
        patches: Vec::new(),
    }
}

fn channel(serial: u64, release: &Release) -> Channel {
    Channel {
        format: 1,
        image: "box".into(),
        channel: "stable".into(),
        serial,
        issued: NOW,
        expires: NOW + 30 * DAY,
        newest: release.version.clone(),
        release: Envelope::new(release).expect("a release that can be written").digest(),
        floor: None,
        rollout: None,
    }
}

/// A web server, possibly in the wrong hands.
#[derive(Clone, Default)]
struct Server(BTreeMap<String, Vec<u8>>);

impl Source for Server {
    fn fetch(&mut self, name: &str, limit: u64) -> std::result::Result<Option<Vec<u8>>, SourceError> {
        let found = self.0.get(name).cloned();
        if found.as_ref().is_some_and(|bytes| bytes.len() as u64 > limit) {
            return Err(SourceError::TooLong);
        }
        Ok(found)
    }
}

impl Server {
    /// With version 2 as the newest of channel stable.
    fn good() -> Self {
        let mut server = Server::default();
        server.publish(&release("2"), 1);
        server
    }

    fn put(&mut self, name: String, envelope: &Envelope) {
        self.0.insert(name, envelope.to_string().into_bytes());
    }

    fn publish(&mut self, release: &Release, serial: u64) {
        self.put(names::release("box", &release.version), &signed(release, &[4]));
        self.point(&channel(serial, release), 6);
    }

    fn point(&mut self, channel: &Channel, seed: u8) {
        self.put(names::channel("stable"), &signed(channel, &[seed]));
    }
}

fn machine() -> Machine {
    Machine {
        image: "box".into(),
        version: "1".into(),
        arch: "x86-64".into(),
        channel: "stable".into(),
        now: NOW + DAY,
        built: NOW - 10 * DAY,
    }
}

fn fresh() -> State {
    State::new(&signed(&first_root(), &[1, 2])).expect("a root that can be read")
}

fn ask(state: &State, server: &Server) -> Result<Checked> {
    check(state, &machine(), &mut server.clone())
}

fn attack(result: Result<Checked>) -> Attack {
    match result {
        Err(Error::Attack(attack)) => attack,
        other => panic!("no attack was seen: {other:?}"),
    }
}

#[test]
fn what_is_well_signed_is_offered() {
    let checked = ask(&fresh(), &Server::good()).unwrap();
    assert_eq!(checked.offer.unwrap().version, "2");
    // A machine that has it already isn't offered it again, nor an older one.
    for version in ["2", "3"] {
        let machine = Machine { version: version.into(), ..machine() };
        assert_eq!(check(&fresh(), &machine, &mut Server::good()).unwrap().offer, None);
    }
    let text = checked.state.to_json().unwrap();
    assert_eq!(State::parse(text.as_bytes()).unwrap(), checked.state);
}

#[test]
fn arbitrary_software() {
    let newest = release("2");
    let weak = |server: &Server| matches!(attack(ask(&fresh(), server)), Attack::ArbitrarySoftware { .. });
    for seeds in [&[][..], &[9], &[6], &[1, 2, 3]] {
        let mut server = Server::good();
        server.put(names::release("box", "2"), &signed(&newest, seeds));
        assert!(weak(&server), "release signed by {seeds:?}");
    }
    let mut server = Server::good();
    server.point(&channel(1, &newest), 4);
    assert!(weak(&server), "channel signed by a key for releases");
    // The right key's signature over another document, and a flipped bit in what is signed.
    let mut server = Server::good();
    let other = signed(&release("3"), &[4]).to_string();
    let mixed = signed(&newest, &[4]).to_string().lines().next().unwrap().to_owned()
        + "\n"
        + other.lines().nth(1).unwrap();
    server.0.insert(names::release("box", "2"), mixed.into_bytes());
    assert!(weak(&server));
    let mut server = Server::good();
    let pointer = server.0.get_mut(&names::channel("stable")).unwrap();
    let at = pointer.windows(11).position(|w| w == b"\"serial\":1,").unwrap();
    pointer[at + 9] = b'7';
    assert!(weak(&server));
}

#[test]
fn one_key_counts_once() {
    let mut root = Root { version: 2, ..first_root() };
    root.release = rule(2, &[4, 5]);
    let mut server = Server::good();
    server.put(names::root(2), &signed(&root, &[1, 2]));
    let twice = signed(&release("2"), &[4]).to_string();
    let signature = twice.lines().nth(1).unwrap().replace("]}", "");
    let again = signature.replace("{\"signatures\":[", ",");
    let text = format!("{}\n{signature}{again}]}}\n", twice.lines().next().unwrap());
    server.0.insert(names::release("box", "2"), text.into_bytes());
    let found = attack(ask(&fresh(), &server));
    assert!(matches!(found, Attack::ArbitrarySoftware { signed: 1, threshold: 2, .. }), "{found}");
}

#[test]
fn rollback_every_older_pointer_is_refused() {
    let mut server = Server::default();
    let (mut state, mut old) = (fresh(), Vec::new());
    for n in 2..6 {
        server.publish(&release(&n.to_string()), n);
        state = ask(&state, &server).unwrap().state;
        old.push(server.clone());
    }
    let newest = old.pop().unwrap();
    for server in &old {
        assert!(matches!(attack(ask(&state, server)), Attack::Rollback { .. }));
    }
    assert!(ask(&state, &newest).is_ok());
    // The same serial for something else.
    server.publish(&release("6"), 5);
    assert!(matches!(attack(ask(&state, &server)), Attack::Equivocation { serial: 5, .. }));
}

#[test]
fn rollback_below_the_floor() {
    let mut server = Server::good();
    let mut pointer = channel(2, &release("2"));
    pointer.floor = Some("2".into());
    server.point(&pointer, 6);
    let state = ask(&fresh(), &server).unwrap().state;
    server.publish(&release("1.5"), 3);
    let found = attack(ask(&state, &server));
    assert!(matches!(&found, Attack::Rollback { what, .. } if what.contains("newest")), "{found}");
}

#[test]
fn freeze_with_any_clock() {
    let mut server = Server::good();
    let state = ask(&fresh(), &server).unwrap().state;
    let late = Machine { now: NOW + 31 * DAY, ..machine() };
    let freeze = |state: &State, machine: &Machine, server: &Server| {
        matches!(attack(check(state, machine, &mut server.clone())), Attack::Freeze { .. })
    };
    assert!(freeze(&state, &late, &server));
    // The clock is reset to 1970, but the image can't have been built later than now.
    let reset = Machine { now: 0, built: NOW + 40 * DAY, ..machine() };
    assert!(freeze(&fresh(), &reset, &server));
    // The clock goes backward behind what was signed and seen.
    let mut later = channel(2, &release("2"));
    (later.issued, later.expires) = (NOW + 40 * DAY, NOW + 80 * DAY);
    server.point(&later, 6);
    let seen = ask(&state, &server).unwrap().state;
    let mut expired = channel(3, &release("2"));
    expired.expires = NOW + 35 * DAY;
    server.point(&expired, 6);
    let backward = Machine { now: 1, built: 1, ..machine() };
    assert!(freeze(&seen, &backward, &server));
    // A root that is expired, and one that follows it.
    let late = Machine { now: NOW + 500 * DAY, ..machine() };
    let mut server = Server::good();
    let mut pointer = channel(1, &release("2"));
    pointer.expires = NOW + 600 * DAY;
    server.point(&pointer, 6);
    assert!(freeze(&fresh(), &late, &server));
    let root = Root { version: 2, expires: NOW + 800 * DAY, ..first_root() };
    server.put(names::root(2), &signed(&root, &[2, 3]));
    assert!(check(&fresh(), &late, &mut server).is_ok());
}

#[test]
fn fast_forward_is_undone_by_new_keys() {
    let mut server = Server::good();
    server.publish(&release("18446744073709551615"), u64::MAX);
    let mut stolen = channel(u64::MAX, &release("18446744073709551615"));
    stolen.issued = 253_402_300_000;
    stolen.expires = 253_402_300_799;
    stolen.floor = Some("18446744073709551615".into());
    server.point(&stolen, 6);
    let state = ask(&fresh(), &server).unwrap().state;
    server.publish(&release("3"), 2);
    assert!(ask(&state, &server).is_err());
    let mut root = Root { version: 2, ..first_root() };
    root.channel = rule(1, &[7]);
    server.put(names::root(2), &signed(&root, &[1, 3]));
    assert!(
        matches!(attack(ask(&state, &server)), Attack::ArbitrarySoftware { .. }),
        "the old key is revoked"
    );
    server.point(&channel(2, &release("3")), 7);
    let checked = ask(&state, &server).unwrap();
    assert_eq!(checked.offer.unwrap().version, "3");
}

#[test]
fn mix_and_match() {
    let mixed = |server: &Server| match attack(ask(&fresh(), server)) {
        Attack::MixAndMatch { what, .. } => what,
        other => panic!("{other}"),
    };
    let mut server = Server::good();
    server.put(names::release("box", "2"), &signed(&Release { created: 5, ..release("2") }, &[4]));
    assert!(mixed(&server).contains("digest"));
    // A well-signed release of another version, image or processor under this one's name.
    let foreign = [
        ("version", release("1.9")),
        ("image", Release { image: "other".into(), ..release("2") }),
        ("processor", Release { arch: "arm64".into(), ..release("2") }),
    ];
    for (what, foreign) in foreign {
        let mut server = Server::good();
        server.put(names::release("box", "2"), &signed(&foreign, &[4]));
        let pointer = Channel { newest: "2".into(), ..channel(1, &foreign) };
        server.point(&pointer, 6);
        assert!(mixed(&server).contains(what));
    }
    let mut server = Server::good();
    server.point(&Channel { channel: "beta".into(), ..channel(1, &release("2")) }, 6);
    assert!(mixed(&server).contains("channel"));
    // A UKI that starts another usr image.
    let release = release("2");
    let hash = "cd".repeat(32);
    assert!(twinhull_release::check_cmdline(&release.root_hash, &format!("quiet usrhash={hash} rw")).is_ok());
    for cmdline in
        ["", "quiet", &format!("usrhash={}", "ce".repeat(32)), &format!("usrhash={hash} usrhash={hash}")]
    {
        let error = twinhull_release::check_cmdline(&release.root_hash, cmdline).unwrap_err();
        assert!(matches!(error.attack(), Some(Attack::MixAndMatch { .. })), "{cmdline}");
    }
}

#[test]
fn endless_data() {
    for name in [names::channel("stable"), names::release("box", "2"), names::root(2)] {
        let mut server = Server::good();
        server.0.insert(name.clone(), vec![b'a'; MAX_DOCUMENT as usize + 1]);
        assert!(matches!(attack(ask(&fresh(), &server)), Attack::EndlessData { .. }), "{name}");
    }
    // Lengths that overflow arithmetic or a disk, and more than 4 GiB, which is fine.
    for length in [u64::MAX, u64::MAX / 4096 * 4096, (1 << 40) + 4096, 0, 4097] {
        let mut wrong = release("2");
        wrong.usr.length = length;
        assert!(Envelope::new(&wrong).unwrap().contents::<Release>().is_err(), "{length}");
    }
    let mut server = Server::good();
    for n in 2..2000 {
        let root = Root { version: n, ..first_root() };
        server.put(names::root(n), &signed(&root, &[1, 2]));
    }
    assert!(matches!(attack(ask(&fresh(), &server)), Attack::EndlessData { .. }));
}

#[test]
fn truncation() {
    let whole = Server::good();
    for name in [names::channel("stable"), names::release("box", "2")] {
        let bytes = whole.0[&name].clone();
        for len in 0..bytes.len() - 1 {
            let mut server = whole.clone();
            server.0.insert(name.clone(), bytes[..len].to_vec());
            assert!(ask(&fresh(), &server).is_err(), "{name} cut to {len} bytes");
        }
        let mut server = whole.clone();
        server.0.remove(&name);
        assert!(matches!(ask(&fresh(), &server), Err(Error::Missing { .. })));
    }
}

#[test]
fn key_compromise_each_role_is_revoked() {
    // Two of three root keys remain good: the owner takes the stolen third out and replaces the other roles' keys.
    let mut root = Root { version: 2, ..first_root() };
    (root.root, root.release, root.channel) = (rule(2, &[1, 2, 10]), rule(1, &[11]), rule(1, &[12]));
    let mut server = Server::good();
    server.put(names::root(2), &signed(&root, &[1, 2]));
    let denied = |server: &Server| matches!(attack(ask(&fresh(), server)), Attack::ArbitrarySoftware { .. });
    assert!(denied(&server), "the old channel key");
    server.point(&channel(9, &release("2")), 12);
    assert!(denied(&server), "the old release key");
    server.put(names::release("box", "2"), &signed(&release("2"), &[11]));
    assert!(ask(&fresh(), &server).is_ok());
    // The stolen root key can't sign what follows.
    let next = Root { version: 3, ..root };
    server.put(names::root(3), &signed(&next, &[1, 3]));
    assert!(denied(&server), "the old root key");
    server.put(names::root(3), &signed(&next, &[1, 10]));
    assert!(ask(&fresh(), &server).is_ok());
}

#[test]
fn a_new_root_needs_the_old_keys_and_its_own() {
    let mut root = Root { version: 2, ..first_root() };
    root.root = rule(2, &[20, 21]);
    for (seeds, good) in [
        (&[1, 2][..], false),
        (&[20, 21], false),
        (&[1, 20, 21], false),
        (&[1, 2, 20], false),
        (&[1, 2, 20, 21], true),
    ] {
        let mut server = Server::good();
        server.put(names::root(2), &signed(&root, seeds));
        assert_eq!(ask(&fresh(), &server).is_ok(), good, "{seeds:?}");
    }
}

#[test]
fn skipped_root() {
    for version in [1, 3, u64::MAX] {
        let mut server = Server::good();
        server.put(names::root(2), &signed(&Root { version, ..first_root() }, &[1, 2]));
        let found = attack(ask(&fresh(), &server));
        assert!(matches!(found, Attack::SkippedRoot { expected: 2, .. }), "{found}");
    }
    let mut server = Server::good();
    let other = Root { version: 2, image: "other".into(), ..first_root() };
    server.put(names::root(2), &signed(&other, &[1, 2]));
    assert!(matches!(attack(ask(&fresh(), &server)), Attack::MixAndMatch { .. }));
}

#[test]
fn a_machine_that_slept_through_two_rotations() {
    let mut server = Server::default();
    let mut second = Root { version: 2, ..first_root() };
    (second.root, second.channel) = (rule(2, &[2, 3, 30]), rule(1, &[31]));
    server.put(names::root(2), &signed(&second, &[2, 3]));
    let mut third = Root { version: 3, ..second };
    (third.root, third.release) = (rule(1, &[40]), rule(1, &[41]));
    server.put(names::root(3), &signed(&third, &[3, 30, 40]));
    server.put(names::release("box", "4"), &signed(&release("4"), &[41]));
    server.point(&channel(1, &release("4")), 31);
    let checked = ask(&fresh(), &server).unwrap();
    assert_eq!(checked.state.root().unwrap(), third);
    assert_eq!(checked.offer.unwrap().version, "4");
    // It doesn't fetch what it has followed again.
    server.0.remove(&names::root(2));
    assert!(ask(&checked.state, &server).is_ok());
}

#[test]
fn path_tricks() {
    for bad in ["..", "../1", "/etc", "1/2", "1\\u0000", "2_verity", "2+3"] {
        let text = Envelope::new(&channel(1, &release("2"))).unwrap().to_string();
        let text = text.replace("\"newest\":\"2\"", &format!("\"newest\":\"{bad}\""));
        let envelope = Envelope::parse(Kind::Channel, text.as_bytes()).unwrap();
        let error = envelope.contents::<Channel>().unwrap_err().to_string();
        assert!(error.contains("no version"), "{error}");
    }
}

#[test]
fn a_document_can_not_stand_for_another() {
    // Signed as a root, shown as a release.
    let mut envelope = Envelope::new(&first_root()).unwrap();
    envelope.sign(&key(4));
    let shown = Envelope::parse(Kind::Release, envelope.to_string().as_bytes()).unwrap();
    assert!(shown.signers(&first_root().release).is_empty());
    assert!(!envelope.signers(&rule(1, &[4])).is_empty());
}

#[test]
fn nothing_is_remembered_of_what_failed() {
    // State is a value: a failed check gives none. What it gave before stays usable.
    let state = ask(&fresh(), &Server::good()).unwrap().state;
    let before = state.to_json().unwrap();
    let mut server = Server::good();
    server.publish(&release("9"), 9);
    server.put(names::release("box", "9"), &signed(&release("9"), &[6]));
    assert!(ask(&state, &server).is_err());
    assert_eq!(state.to_json().unwrap(), before);
    assert!(ask(&state, &Server::good()).is_ok());
}

#[test]
fn other_peoples_signatures_are_harmless_and_few() {
    let mut envelope = signed(&release("2"), &[4]);
    (100..163).for_each(|seed| envelope.sign(&key(seed)));
    assert!(envelope.open::<Release>(&first_root().release).is_ok());
    envelope.sign(&key(200));
    assert!(Envelope::parse(Kind::Release, envelope.to_string().as_bytes()).is_err());
    let foreign: PublicKey = key(77).public();
    assert!(matches!(envelope.attach(foreign, &[0; 64]), Err(Error::WrongSignature { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for kind in [Kind::Root, Kind::Channel, Kind::Release] {
            if let Ok(envelope) = Envelope::parse(kind, &bytes) {
                let _ = envelope.contents::<Release>();
            }
        }
        let _ = State::parse(&bytes);
    }

    #[test]
    fn a_changed_byte_is_never_believed(at in any::<proptest::sample::Index>(), to in any::<u8>()) {
        let good = signed(&release("2"), &[4]).to_string();
        let line = good.find('\n').unwrap();
        let mut bytes = good.clone().into_bytes();
        let at = at.index(line);
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let opened = Envelope::parse(Kind::Release, &bytes).and_then(|e| e.open::<Release>(&first_root().release));
        prop_assert!(opened.is_err());
    }
}
