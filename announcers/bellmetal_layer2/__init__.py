"""Layer 2: ARP answers, gratuitous ARP, and one owner for each address. See README.md."""
