package main

import (
	"strconv"
	"strings"

	"dirsync"
)

// nearest returns the known word that s is most likely a slip of the pen for, or "".
func (d *decoder) nearest(s string, known []string) string {
	if d.more > 0 {
		return "" // nobody will read it, and comparing costs time
	}
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	for _, k := range known {
		if plain(s) == plain(k) {
			return k // clientId, clientID and clientid all mean client_id
		}
	}
	if near := dirsync.Nearest(s, known); near != "" || len(s) < 4 {
		return near
	}
	for _, k := range known {
		if strings.HasPrefix(strings.ToLower(k), strings.ToLower(s)) {
			return k
		}
	}
	return ""
}

// fieldTypes are the types that a directory field may have, in the order in which they are listed to people.
func fieldTypes() []string {
	types := []dirsync.Type{dirsync.Text, dirsync.Email, dirsync.Phone, dirsync.Number, dirsync.Currency, dirsync.Boolean,
		dirsync.Date, dirsync.DateTime, dirsync.Choice, dirsync.Reference, dirsync.TextList}
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = string(t)
	}
	return out
}

// quoted repeats a value in a message: visible, and cut to a sane length.
func quoted(s string) string { return strconv.Quote(cut(s)) }

func cut(s string) string {
	if r := []rune(s); len(r) > 64 {
		return string(r[:64]) + "…"
	}
	return s
}
