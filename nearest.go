package dirsync

import "strings"

// Nearest returns the known name that a misspelt one is most likely a slip of the pen for, or "" when none is like it.
// Letter case, and the difference between - and _, count for nothing. Of two that are equally near, the first is it.
func Nearest(wrong string, known []string) string {
	folded := misspelt(wrong)
	best, least := "", 0
	for _, name := range known {
		k := misspelt(name)
		n := slips(folded, k)
		if n <= max(1, min(len(k), len(folded))/3) && (best == "" || n < least) {
			best, least = name, n
		}
	}
	return best
}

// misspelt is a name in the form in which it is compared. Long ones are cut, since nobody misspells by forty letters and
// comparing costs the product of both lengths.
func misspelt(s string) []rune {
	r := []rune(strings.ToLower(strings.ReplaceAll(s, "-", "_")))
	return r[:min(len(r), 40)]
}

// slips counts the insertions, deletions, replacements and swaps of neighbours that make b out of a (the restricted
// Damerau-Levenshtein distance).
func slips(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
