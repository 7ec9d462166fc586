package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// What a demonstration prints to be tried has to work as it is printed, in another terminal: whatever folder that is in, and
// whether or not this program is where a shell looks for programs.

// itself is this program as somebody types it.
func itself() string {
	path, err := os.Executable()
	if err != nil {
		return "dirsync"
	}
	if found, err := exec.LookPath("dirsync"); err == nil {
		here, err1 := os.Stat(path)
		there, err2 := os.Stat(found)
		if err1 == nil && err2 == nil && os.SameFile(here, there) {
			return "dirsync"
		}
	}
	return shellWord(path)
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord is a text as a shell reads it as one word.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// absolute is the folder of a demonstration wherever somebody is; "" stays.
func absolute(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	return filepath.Abs(dir)
}
