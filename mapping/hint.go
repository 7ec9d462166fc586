package mapping

import "dirsync"

// didYouMean is the hint for a misspelt name.
func didYouMean(wrong string, names []string) string {
	if near := dirsync.Nearest(wrong, names); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}
