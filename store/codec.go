package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"dirsync"
)

// Rows are written by hand: a version byte, then fields in a fixed order, numbers as varints, strings with their
// length before them. JSON would cost several times the space and most of the time of a first run. At the end of every
// row stand four bytes of CRC-32C over key and body, because bbolt has no checksums of its own: a bit that has flipped
// on the disk must not become somebody's new e-mail address.

// rowVersion is the version of every kind of row. A row that begins with another number was written by a program that
// knows more than this one.
const rowVersion = 1

var errRow = errors.New("damaged row")

func checksum(key, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // the package keeps this table; making it costs nothing
	return crc32.Update(crc32.Update(0, table, key), table, body)
}

// seal ends a row that is kept under key.
func seal(key, body []byte) []byte {
	return binary.LittleEndian.AppendUint32(body, checksum(key, body))
}

// unseal returns the body of a row as it was before seal.
func unseal(key, row []byte) ([]byte, error) {
	n := len(row) - 4
	if n < 0 {
		return nil, errRow
	}
	if binary.LittleEndian.Uint32(row[n:]) != checksum(key, row[:n]) {
		return nil, errRow
	}
	return row[:n:n], nil
}

// seqKey is the key of the row of one person or account: big endian, so that arrival order is key order.
func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq) }

func appendSeq(b []byte, seq uint64) []byte { return binary.BigEndian.AppendUint64(b, seq) }

func appendUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendTime writes a moment to the nanosecond. Its time zone is not kept: it comes back in UTC.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond()))
}

// appendName writes a name that is likely to be one of the words everybody uses.
func appendName(b []byte, s string) []byte {
	if n := wordNumber(s); n != 0 {
		return append(b, n)
	}
	return appendString(append(b, 0), s)
}

// How an id is written.
const (
	idText = 0 // as it is
	idGUID = 1 // a GUID in lower case, in 16 bytes
	idPair = 2 // two of them with a slash between, as memberships have, in 32
)

// appendID writes an object id, a GUID in lower case in 16 bytes instead of 36.
func appendID(b []byte, id dirsync.ID) []byte {
	switch mark := len(b); {
	case len(id) == 36:
		if b, ok := appendGUID(append(b, idGUID), string(id)); ok {
			return b
		}
		b = b[:mark]
	case len(id) == 73 && id[36] == '/':
		b, ok := appendGUID(append(b, idPair), string(id[:36]))
		if ok {
			if b, ok = appendGUID(b, string(id[37:])); ok {
				return b
			}
		}
	}
	return appendString(append(b, idText), string(id))
}

// appendGUID writes a GUID; ok is false when s is none in the form in which it comes back.
func appendGUID(b []byte, s string) (_ []byte, ok bool) {
	for i := 0; i < 36; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return b, false
			}
			i++
			continue
		}
		hi, lo := hexDigit(s[i]), hexDigit(s[i+1])
		if hi > 15 || lo > 15 {
			return b, false
		}
		b = append(b, hi<<4|lo)
		i += 2
	}
	return b, true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	default:
		return 255
	}
}

func appendValues(b []byte, values dirsync.Values) []byte {
	b = appendUint(b, uint64(len(values)))
	for _, v := range values {
		b = appendName(b, v.Field)
		n := typeNumber(v.Value.Type)
		b = append(b, n)
		if n == otherType {
			b = appendString(b, string(v.Value.Type))
		}
		if n != 0 {
			b = appendString(b, v.Value.Text)
		}
	}
	return b
}

func appendAttributes(b []byte, as dirsync.Attributes) []byte {
	b = appendUint(b, uint64(len(as)))
	for _, a := range as {
		b = appendName(b, a.Name)
		b = append(appendUint(b, uint64(len(a.Raw))), a.Raw...)
	}
	return b
}

// decoder reads what the append functions wrote. After the first thing that makes no sense it reads zeros, and end
// reports it, so that callers need to look only once. It never allocates more than the row is long, whatever the row
// claims to hold.
type decoder struct {
	b   []byte
	s   string // the same bytes, when what is read shall outlive them; strings share memory with each other
	own []byte // the same again, for byte slices, once there is one
	at  int
	bad bool
}

// decode begins to read a row that will not outlive the transaction: byte slices share memory with it.
func decode(body []byte) *decoder { return (&decoder{b: body}).version() }

// decodeOwned begins to read a row whose parts will outlive the transaction.
func decodeOwned(body []byte) *decoder {
	return (&decoder{b: body, s: string(body)}).version()
}

func (d *decoder) version() *decoder {
	if d.byte() != rowVersion {
		d.bad = true
	}
	return d
}

// more tells whether there is something left to read, which a row may have or not.
func (d *decoder) more() bool { return !d.bad && d.at < len(d.b) }

// end reports whether the row made sense and was read to its end.
func (d *decoder) end() error {
	if d.bad || d.at != len(d.b) {
		return errRow
	}
	return nil
}

func (d *decoder) byte() byte {
	if d.bad || d.at >= len(d.b) {
		d.bad = true
		return 0
	}
	d.at++
	return d.b[d.at-1]
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.bad = true
	}
	return v == 1
}

func (d *decoder) uint() uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.b[d.at:])
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) int() int64 {
	if d.bad {
		return 0
	}
	v, n := binary.Varint(d.b[d.at:])
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.at += n
	return v
}

// count reads how many things follow, each of which takes at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)-d.at)/uint64(size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.count(1)
	if d.bad {
		return nil
	}
	d.at += n
	if d.s == "" {
		return d.b[d.at-n : d.at : d.at]
	}
	if d.own == nil {
		d.own = []byte(d.s)
	}
	return d.own[d.at-n : d.at : d.at]
}

func (d *decoder) string() string {
	n := d.count(1)
	if d.bad || n == 0 {
		return ""
	}
	d.at += n
	if d.s != "" {
		return d.s[d.at-n : d.at]
	}
	return string(d.b[d.at-n : d.at])
}

func (d *decoder) time() time.Time {
	if !d.bool() {
		return time.Time{}
	}
	sec, nano := d.int(), d.uint()
	if nano > 999_999_999 {
		d.bad = true
		return time.Time{}
	}
	return time.Unix(sec, int64(nano)).UTC()
}

func (d *decoder) name() string {
	n := d.byte()
	if n == 0 {
		return d.string()
	}
	s := word(n)
	if s == "" {
		d.bad = true
	}
	return s
}

func (d *decoder) id() dirsync.ID {
	switch d.byte() {
	case idText:
		return dirsync.ID(d.string())
	case idGUID:
		return dirsync.ID(d.guid(make([]byte, 0, 36)))
	case idPair:
		return dirsync.ID(d.guid(append(d.guid(make([]byte, 0, 73)), '/')))
	default:
		d.bad = true
		return ""
	}
}

// guid appends a GUID to out, and nothing when there is none.
func (d *decoder) guid(out []byte) []byte {
	if len(d.b)-d.at < 16 {
		d.bad = true
		return nil
	}
	const digits = "0123456789abcdef"
	for i, c := range d.b[d.at : d.at+16] {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, digits[c>>4], digits[c&15])
	}
	d.at += 16
	return out
}

func (d *decoder) values() dirsync.Values {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	out := make(dirsync.Values, 0, n)
	for range n {
		v := dirsync.FieldValue{Field: d.name()}
		t := d.byte()
		if t == otherType {
			v.Value.Type = dirsync.Type(d.string())
		} else if v.Value.Type = typeOf(t); t != 0 && v.Value.Type == "" {
			d.bad = true
		}
		if t != 0 {
			v.Value.Text = d.string()
		}
		if k := len(out); d.bad || k > 0 && out[k-1].Field >= v.Field {
			d.bad = true
			return nil
		}
		out = append(out, v)
	}
	return out
}

func (d *decoder) attributes() dirsync.Attributes {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	out := make(dirsync.Attributes, 0, n)
	for range n {
		a := dirsync.Attribute{Name: d.name(), Raw: d.bytes()}
		if k := len(out); d.bad || k > 0 && out[k-1].Name >= a.Name {
			d.bad = true
			return nil
		}
		out = append(out, a)
	}
	return out
}
