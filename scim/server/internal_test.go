package server

import (
	"strings"
	"testing"
	"time"

	"dirsync"
)

// FuzzDocument opens what may be in a damaged store.
func FuzzDocument(f *testing.F) {
	f.Add(envelope{flags: waits, snapshot: []byte("\x04anna\x00\x00\x01\x05email\x05email\x03a@b"), json: []byte(`{"userName":"anna"}`)}.seal())
	f.Add([]byte{documentVersion, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, '{', '}'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := open(b)
		if err != nil || len(b) == 0 {
			return
		}
		_ = columns(e.snapshot)
		if again, err := open(e.seal()); err != nil || again.flags != e.flags || string(again.snapshot) != string(e.snapshot) || string(again.json) != string(e.json) {
			t.Errorf("%q becomes %q, %v", b, e.seal(), err)
		}
	})
}

// FuzzCanonical: the canonical form of a canonical form is itself, for every type.
func FuzzCanonical(f *testing.F) {
	for _, text := range []string{"+49 (0)30 901820 x12", "1e3", "-0.50", "eur 12.5", "12.50EUR", "06/06/2019", "2026-03-04T13:00:00.5+01:00", "TRUE", "a@B.c", "6/6/2019 12:00:00 AM", "0x1p-2", "1/3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = clean(text)
		if text == "" {
			return
		}
		for _, typ := range []dirsync.Type{dirsync.Text, dirsync.Email, dirsync.Phone, dirsync.Number, dirsync.Currency, dirsync.Boolean, dirsync.Date, dirsync.DateTime, dirsync.Choice} {
			for _, format := range []string{"", "DD/MM/YYYY", "YYYY-MM-DD HH:mm:ss"} {
				field := dirsync.Field{Name: "f", Type: typ, Format: format, Options: []string{"Berlin", "TRUE"}}
				once, ok := canonical(field, text)
				if !ok {
					continue
				}
				field.Format = ""
				if twice, ok := canonical(field, once); !ok || twice != once {
					t.Errorf("%s: %q becomes %q, and that %q, %v", typ, text, once, twice, ok)
				}
			}
		}
	})
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		typ        dirsync.Type
		text, want string // "" is refused
	}{
		{dirsync.Number, "007.50", "7.5"}, {dirsync.Number, "-0", "0"}, {dirsync.Number, "1e3", "1000"}, {dirsync.Number, "1e9999", ""}, {dirsync.Number, "1/3", ""}, {dirsync.Number, "0x10", ""}, {dirsync.Number, "1_000", ""},
		{dirsync.Number, strings.Repeat("9", 50), ""}, {dirsync.Number, "NaN", ""}, {dirsync.Currency, "usd12", "USD 12"}, {dirsync.Currency, "12.50 EUR", "EUR 12.5"}, {dirsync.Currency, "EUR", ""}, {dirsync.Currency, "€ 12", ""},
		{dirsync.Phone, "+49 (0) 30/90-18.20", "+4930901820"}, {dirsync.Phone, "0049 30 901820", "+4930901820"}, {dirsync.Phone, "+1 555 0100 x12", "+15550100;ext=12"}, {dirsync.Phone, "tel:+15550100;ext=3", "+15550100;ext=3"},
		{dirsync.Phone, "555-0100", ""}, {dirsync.Phone, "+1 555 CALL", ""}, {dirsync.Phone, "+0123456789", ""}, {dirsync.Email, "Anna.S@Example.COM", "Anna.S@example.com"}, {dirsync.Email, "anna", ""}, {dirsync.Email, "a@b@c.d", ""}, {dirsync.Email, "a b@c.d", ""},
		{dirsync.Email, "a@-b.c", ""}, {dirsync.Email, "a@b..c", ""}, {dirsync.Email, "anna_gmail.com#EXT#@contoso.onmicrosoft.com", "anna_gmail.com#EXT#@contoso.onmicrosoft.com"},
		{dirsync.Date, "2019-06-06", "2019-06-06"}, {dirsync.Date, "2019-06-06T22:00:00Z", "2019-06-06"}, {dirsync.Date, "6/7/2019 12:00:00 AM", "2019-06-07"}, {dirsync.Date, "2019-02-30", ""}, {dirsync.Date, "06/06/2019", ""},
		{dirsync.DateTime, "2019-06-06", ""}, {dirsync.DateTime, "2019-06-06T10:00:00", "2019-06-06T10:00:00Z"}, {dirsync.DateTime, "2019-06-06T10:00:00.500+02:00", "2019-06-06T08:00:00.5Z"},
		{dirsync.Boolean, "True", "true"}, {dirsync.Boolean, "yes", ""},
	} {
		got, ok := canonical(dirsync.Field{Type: c.typ}, c.text)
		if !ok {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.typ, c.text, got, c.want)
		}
	}
}

// FuzzCursor: whatever is not this server's is refused, whatever is comes back.
func FuzzCursor(f *testing.F) {
	s := &Server{key: []byte("key"), now: func() time.Time { return time.Unix(1_700_000_000, 0) }, limits: Limits{}.withDefaults()}
	f.Add("", uint64(0), uint16(0), "u1")
	f.Add(s.sealCursor(cursor{query: 7, count: 3, after: "u1"}), uint64(7), uint16(3), "u1")
	f.Add("BwMAAIDiz6oGAHUxteLwspZDiluLsv1PmB149X", uint64(7), uint16(2), "0") // bits behind the last byte
	f.Add(s.sealCursor(cursor{query: 7, count: 3, after: "u1"})[:8]+"\n"+s.sealCursor(cursor{query: 7, count: 3, after: "u1"})[8:], uint64(7), uint16(3), "u1")
	f.Add("", uint64(222), uint16(47), strings.Repeat("x", 499))
	f.Fuzz(func(t *testing.T, text string, query uint64, count uint16, after string) {
		if c, err := s.openCursor(text, query); err == nil && s.sealCursor(c) != text {
			t.Errorf("%q was taken", text)
		}
		want := cursor{query: query, count: int(count), kind: 1, offset: 2 * int(count), key: after, after: after}
		got, err := s.openCursor(s.sealCursor(want), query)
		want.issued = s.now()
		if len(after) < 500 && (err != nil || got != want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}
