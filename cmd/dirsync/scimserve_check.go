package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"dirsync"
	"dirsync/store"
)

// pushCheckView is what check found out about the SCIM server.
type pushCheckView struct {
	Listen string `json:"listen"`
	URL    string `json:"url"`
	// Writes tells whether clients may write, or only read because syncs fill the directory.
	Writes bool `json:"writes"`
	// CertificateExpires is when nobody can connect any more.
	CertificateExpires time.Time       `json:"certificate_expires,omitzero"`
	Fields             []pushFieldView `json:"fields"`
	Error              string          `json:"error,omitempty"`
	err                error
}

// pushFieldView is a place that a field is kept in.
type pushFieldView struct {
	Field string `json:"field"`
	Path  string `json:"path"`
}

// checkPushing checks the SCIM server, as far as that can be done without listening; nil if the configuration has none.
func (a *app) checkPushing(cfg *Config) *pushCheckView {
	sc := cfg.Serve.SCIM
	if sc == nil {
		return nil
	}
	v := &pushCheckView{Listen: sc.Listen, URL: a.scimURL(cfg), Writes: cfg.Directory.FedBy == FedBySCIM}
	for _, p := range sc.fieldPaths(cfg.Directory) {
		v.Fields = append(v.Fields, pushFieldView{p.Field.Name, p.Path})
	}
	if !sc.TLS.IsSet() {
		return v
	}
	pair, err := tls.LoadX509KeyPair(string(sc.TLS.Certificate), string(sc.TLS.Key))
	if err == nil {
		var leaf *x509.Certificate
		if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err == nil {
			v.CertificateExpires = leaf.NotAfter
			if !a.now().Before(leaf.NotAfter) {
				err = fmt.Errorf("it has ended on %s", leaf.NotAfter.Format(time.DateOnly))
			}
		}
	}
	if err != nil {
		v.err = fmt.Errorf("the certificate of serve.scim: %w", err)
		v.Error = v.err.Error()
	}
	return v
}

func (a *app) printPushCheck(v *pushCheckView) error {
	if v == nil {
		return nil
	}
	a.printf("SCIM server\n")
	t := NewTable(a.style, "  CHECK", "RESULT")
	t.Row("  listens at", v.Listen)
	t.Row("  base URL", v.URL)
	t.Row("  clients may", map[bool]string{true: "read and write", false: "read, because syncs fill the directory"}[v.Writes])
	if !v.CertificateExpires.IsZero() {
		t.Row("  certificate expires", expiry(v.CertificateExpires, a.now()))
	}
	for _, f := range v.Fields {
		t.Row("  "+f.Field, f.Path)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if v.err != nil {
		a.exit(v.err)
	}
	a.printf("\n")
	return nil
}

// checkFeedOf finds out whether the directory is filled by whom the configuration names.
func checkFeedOf(ctx context.Context, cfg *Config, st *store.Store) error {
	by, err := feedOf(ctx, cfg, st)
	if err != nil || by == "" {
		return err
	}
	if want := FedBy(cfg.Directory.FedBy.String()); by != want {
		return wrongFeed(by, want)
	}
	return nil
}

// wrongFeed says that somebody else fills the directory than the configuration says.
func wrongFeed(by, want FedBy) error {
	return &dirsync.Error{Op: "open the directory", Kind: dirsync.Conflict,
		Err: fmt.Errorf("its users were made by %s, and the configuration says directory.fed_by: %s; both at once would undo each other's changes", by, want),
		Hint: fmt.Sprintf("dirsync directory switch %s says what becomes of them, and does it. To go on as before, write directory: { fed_by: %s }.",
			want, by)}
}
