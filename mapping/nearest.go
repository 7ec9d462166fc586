package mapping

import "strings"

// nearest returns the name most like the misspelt one, or "" when none is like it. Letter case counts for nothing.
func nearest(wrong string, names []string) string {
	wrong = strings.ToLower(wrong)
	best, least := "", len(wrong)/3+2
	for _, name := range names {
		if d := editDistance(wrong, strings.ToLower(name), least); d < least {
			best, least = name, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance of two texts, or limit when it is limit or more.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}

// didYouMean is the hint for a misspelt name.
func didYouMean(wrong string, names []string) string {
	if n := nearest(wrong, names); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}
