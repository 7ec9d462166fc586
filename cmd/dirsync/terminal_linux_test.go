package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
)

// terminalCommand runs dirsync at a terminal, where INPUT, a file, is typed. What appears there is standard output:
//
//	terminal INPUT ARG...
//
// It is used instead of ttyin, which closes the terminal when the command has ended, without having read all that it wrote:
// where much runs at once, the last lines are lost now and then.
func terminalCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: terminal INPUT ARG...")
	}
	typed := ts.ReadFile(args[0])
	keyboard, tty, err := openTerminal()
	ts.Check(err)
	defer keyboard.Close()
	self, err := os.Executable()
	ts.Check(err)
	cmd := exec.Command(self, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), childVariable+"=dirsync")
	for _, name := range []string{"DIRSYNC_CONFIG", "DISPLAY", "PATH", "NO_COLOR", "WORK"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	_ = tty.Close() // so that the command has the last one
	shown := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(keyboard) // it ends with an error when nobody has the other side any more
		shown <- string(text)
	}()
	_, err = io.WriteString(keyboard, typed)
	ts.Check(err)
	err = cmd.Wait()
	text := strings.ReplaceAll(<-shown, "\r\n", "\n")
	_, _ = io.WriteString(ts.Stdout(), text)
	if neg == (err == nil) {
		ts.Fatalf("got %v\n%s", err, text)
	}
}

// openTerminal makes a terminal, and returns both of its sides.
func openTerminal() (keyboard, tty *os.File, err error) {
	if keyboard, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	var number, unlocked uint32
	for _, ask := range []struct {
		request uintptr
		value   *uint32
	}{{syscall.TIOCGPTN, &number}, {syscall.TIOCSPTLCK, &unlocked}} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keyboard.Fd(), ask.request, uintptr(unsafe.Pointer(ask.value))); errno != 0 {
			return nil, nil, errno
		}
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	return keyboard, tty, err
}
