// Package audit holds the words and rules of the audit log: its entries, how they are chained by hashes, how a chain is
// verified, exported, and kept free of secrets. It does no I/O.
//
// # The chain
//
// The canonical form of an entry is its JSON: the members of [Entry] in the order of its fields, without those that are
// empty, without space, in UTF-8, escaping only quotes, backslashes and control characters. Times are in UTC with
// milliseconds. The hash of an entry is
//
//	SHA-256(hash of the entry before it, 32 bytes || canonical form)
//
// and the hash before the first entry is 32 zero bytes. An export in JSON lines has one entry a line, preceded by both hashes
// in lower-case hexadecimal at fixed places:
//
//	{"prev":"<64 digits>","hash":"<64 digits>","seq":1,"at":...}
//
// so that the canonical form is "{" and the line from byte 149 on. This verifies one, in Python:
//
//	import hashlib, sys
//	last = None
//	for number, line in enumerate(open(sys.argv[1], "rb"), 1):
//	    line = line.rstrip(b"\n")
//	    prev, hash, entry = line[9:73].decode(), line[83:147].decode(), b"{" + line[149:]
//	    if hashlib.sha256(bytes.fromhex(prev) + entry).hexdigest() != hash:
//	        sys.exit(f"line {number} was changed")
//	    if last not in (None, prev):
//	        sys.exit(f"lines before line {number} are missing, or were inserted or moved")
//	    last = hash
//	print(f"{number} lines, and the hash of the last is {last}")
//
// A chain does not show that its newest entries are missing: compare the last hash with one that was kept elsewhere, as
// forwarding does. Nor does it say what came before its first entry; retention, which removes the oldest, therefore leaves an entry
// [RetentionAction] with the last number that it removed and that entry's hash.
package audit
