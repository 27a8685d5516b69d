//! What is made on top of cards: bonds and VLANs. They have names of our own choice, since they don't exist
//! before networkd makes them; the cards below them are still found by their MAC addresses.

use serde::{Deserialize, Serialize};

use super::Mac;

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// A card, or what a hypervisor makes look like one.
    #[default]
    Card,
    /// Several cards as one.
    Bond(Bond),
    /// A tagged network on another interface.
    Vlan(Vlan),
}

impl Kind {
    /// Whether this is a card.
    pub fn is_card(&self) -> bool {
        *self == Kind::Card
    }

    /// The name that we give it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Kind::Card => None,
            Kind::Bond(bond) => Some(&bond.name),
            Kind::Vlan(vlan) => Some(&vlan.name),
        }
    }
}

/// A bond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond {
    /// Its name.
    pub name: String,
    /// Its cards.
    pub members: Vec<Mac>,
    /// How it spreads packets, one of [`Bond::MODES`].
    pub mode: String,
    /// Milliseconds between looks at the members' carriers.
    pub miimon: Option<u32>,
    /// What decides over which member a packet goes, one of [`Bond::POLICIES`].
    pub policy: Option<String>,
}

impl Bond {
    /// All modes, in the kernel's order: some documents have the number.
    pub const MODES: [&str; 7] =
        ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];

    /// All policies.
    pub const POLICIES: [&str; 5] = ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"];

    /// A mode by its name or number.
    pub fn mode(text: &str) -> Option<&'static str> {
        let at = text.parse().ok().or_else(|| Bond::MODES.iter().position(|m| *m == text))?;
        Bond::MODES.get(at).copied()
    }
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    /// Its name.
    pub name: String,
    /// Its tag.
    pub id: u16,
    /// What it is on.
    pub on: Parent,
}

impl Vlan {
    /// A tag, when it is one.
    pub fn id(text: &str) -> Option<u16> {
        text.parse().ok().filter(|id| (1..=4094).contains(id))
    }
}

/// What a VLAN is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// A card.
    Card(Mac),
    /// A bond, by the name that we gave it.
    Bond(String),
}
