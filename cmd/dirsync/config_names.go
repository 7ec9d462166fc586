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
	best, bestDistance := "", 0
	folded := strings.ToLower(strings.ReplaceAll(s, "-", "_"))
	for _, k := range known {
		n := distance(folded, strings.ToLower(k))
		if n <= max(1, min(len(k), len(folded))/3) && (best == "" || n < bestDistance) {
			best, bestDistance = k, n
		}
		if len(folded) >= 4 && strings.HasPrefix(strings.ToLower(k), folded) && best == "" {
			best, bestDistance = k, n
		}
		// clientId, clientID and clientid all mean client_id.
		if strings.ReplaceAll(folded, "_", "") == strings.ReplaceAll(strings.ToLower(k), "_", "") {
			return k
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that make b out of a. Long words are
// cut, since nobody misspells by forty letters.
func distance(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	ra, rb = ra[:min(len(ra), 40)], rb[:min(len(rb), 40)]
	rows := make([][]int, len(ra)+1)
	for i := range rows {
		rows[i] = make([]int, len(rb)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(ra); i++ {
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(ra)][len(rb)]
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
