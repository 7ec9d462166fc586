package notify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"dirsync"
)

type chat struct{ address Secret }

// NewChat returns a Sender for a chat service, by an address as shoutrrr (shoutrrr.nickfedor.com) writes them:
// "slack://…", "matrix://…". The address holds the token, so it is a Secret, and nothing of it is ever shown. Mail,
// webhooks and Teams have Senders of their own, and their schemes are refused here.
//
// What shoutrrr reports does not tell a refusal from a disturbance, so every error is temporary.
func NewChat(address Secret) (Sender, error) {
	if address == nil {
		return nil, fault("chat", dirsync.Invalid, "", errors.New("a chat needs an address"))
	}
	return chat{address}, nil
}

func (c chat) Send(ctx context.Context, m Message) (string, error) {
	const op = "send to chat"
	address, err := c.address(ctx)
	if err != nil {
		return "", fault(op, dirsync.Unavailable, "Look whether the address can be read.", fmt.Errorf("read the address: %w", safe(err)))
	}
	scheme, _, _ := strings.Cut(address, ":")
	scheme, _, _ = strings.Cut(strings.ToLower(scheme), "+")
	if slices.Contains([]string{"smtp", "generic", "teams", "logger"}, scheme) {
		return "", fault(op, dirsync.Permission, "Use smtp, webhooks or teams under notify.", fmt.Errorf("the scheme %s is not for chat addresses", scheme))
	}
	service, err := locate(address)
	if err != nil {
		return "", err
	}
	if ctx.Err() != nil {
		return "", fault(op, dirsync.Unavailable, "", ctx.Err())
	}
	// shoutrrr knows no contexts. What is still under way when ours ends is left to its own limits; the result is unknown.
	done := make(chan error, 1)
	go func() {
		defer func() {
			if recover() != nil {
				done <- fmt.Errorf("%w: the chat library panicked", ErrUnsure)
			}
		}()
		done <- service.Send(chatText(m.News), &types.Params{})
	}()
	select {
	case <-ctx.Done():
		return "", fault(op, dirsync.Unavailable, "", fmt.Errorf("%w: %w", ErrUnsure, ctx.Err()))
	case err = <-done:
	}
	if err == nil {
		return "accepted", nil
	}
	return "", fault(op, dirsync.Unavailable, "", chatError(err, address))
}

// locate makes a service of an address. The library's own error repeats the address, so it is not passed on.
func locate(address string) (service types.Service, err error) {
	refused := fault("send to chat", dirsync.Permission, "Look at the address of the chat; shoutrrr's documentation says how it is written.",
		errors.New("the address is not understood"))
	defer func() {
		if recover() != nil {
			service, err = nil, refused
		}
	}()
	r, err := router.New(nil)
	if err != nil {
		return nil, refused
	}
	service, err = r.Locate(address)
	if err != nil {
		return nil, refused
	}
	return service, nil
}

// chatError says what a service said, without what its address holds. A request that may have arrived is ErrUnsure: one
// that failed otherwise than while connecting or by an answer.
func chatError(err error, address string) error {
	var web *url.Error
	var dial *net.OpError
	var name *net.DNSError
	connecting := errors.As(err, &name) || errors.As(err, &dial) && dial.Op == "dial"
	if errors.As(err, &web) && !connecting {
		err = fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	// Services make tokens of several parts of the address.
	secrets := urlSecrets(address)
	for _, s := range slices.Clone(secrets) {
		for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(":/-@?&=,.", r) }) {
			if len(part) >= 6 {
				secrets = append(secrets, part)
			}
		}
	}
	return safe(err, secrets...)
}
