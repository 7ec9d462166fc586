package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"

	"dirsync/scim"
)

// cursor is where a listing goes on (RFC 9865). It says all that the server has to know, so that none is kept; its
// signature keeps clients from making their own.
type cursor struct {
	// query is a hash of what is listed, count the size of the pages.
	query uint64
	count int
	// kind is the index of the kind of resource, and after the id of the last one that was listed. Where the order is not
	// that of the store, key is by what it was sorted, in JSON; if that is too long to be carried about, it is empty, and
	// offset says how many were listed.
	kind   int
	offset int
	key    string
	after  string
	issued time.Time
}

// maxSortKey is the longest cursor.key in bytes. A cursor is part of an address.
const maxSortKey = 512

// maxCursor is the longest cursor that is looked at, in bytes: far more than any with a key of maxSortKey and an id has.
const maxCursor = 4 * maxSortKey

const macSize = 16

func (s *Server) sealCursor(c cursor) string {
	b := binary.AppendUvarint(nil, c.query)
	b = binary.AppendUvarint(b, uint64(c.count))
	b = binary.AppendUvarint(b, uint64(c.kind))
	b = binary.AppendUvarint(b, uint64(c.offset))
	b = binary.AppendUvarint(b, uint64(max(0, s.now().Unix())))
	b = appendText(b, c.key)
	b = append(b, c.after...)
	return base64.RawURLEncoding.EncodeToString(append(b, s.mac(b)...))
}

func (s *Server) mac(b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(b)
	return h.Sum(nil)[:macSize]
}

// openCursor reads a cursor and checks that it belongs to a query.
func (s *Server) openCursor(text string, query uint64) (c cursor, err error) {
	unknown := refuse(http.StatusBadRequest, scim.InvalidCursor, "the cursor is not one of this server's, or is from before it was started")
	if len(text) > maxCursor {
		return c, unknown
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) <= macSize || base64.RawURLEncoding.EncodeToString(b) != text { // one text for each cursor
		return c, unknown
	}
	b, mac := b[:len(b)-macSize], b[len(b)-macSize:]
	if subtle.ConstantTimeCompare(mac, s.mac(b)) != 1 {
		return c, unknown
	}
	next := func() uint64 {
		n, size := binary.Uvarint(b)
		b = b[max(0, size):]
		return n
	}
	c.query, c.count, c.kind, c.offset, c.issued = next(), int(next()), int(next()), int(next()), time.Unix(int64(next()), 0)
	n := next()
	if n > uint64(len(b)) {
		return c, unknown // It is signed, but by another version of this program.
	}
	c.key, c.after = string(b[:n]), string(b[n:])
	switch {
	case c.query != query:
		return c, refuse(http.StatusBadRequest, scim.InvalidCursor, "the cursor belongs to another query; each page needs the same parameters")
	case s.now().Sub(c.issued) > s.limits.Cursor:
		return c, refuse(http.StatusBadRequest, scim.ExpiredCursor, "the cursor has expired; begin again without one")
	}
	return c, nil
}
