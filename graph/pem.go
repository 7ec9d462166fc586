package graph

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the default of RFC 8018, appendix A.2, which older files rely on
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"hash"
)

// openPEM returns a PEM file with its private key opened, and whether the file is PEM at all. The sign-in library reads
// no encrypted key.
func openPEM(file []byte, password string) ([]byte, bool, error) {
	if !bytes.Contains(file, []byte("-----BEGIN ")) {
		return file, false, nil
	}
	var out bytes.Buffer
	for rest := file; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Headers["DEK-Info"] != "":
			return nil, true, errors.New("its private key is encrypted in a way of old: convert it with openssl pkcs8 -topk8 -in old.pem -out new.pem")
		case block.Type == "ENCRYPTED PRIVATE KEY" && password == "":
			return nil, true, errors.New("its private key has a password, which must be given")
		case block.Type == "ENCRYPTED PRIVATE KEY":
			key, err := openPKCS8(block.Bytes, password)
			if err != nil {
				return nil, true, err
			}
			block = &pem.Block{Type: "PRIVATE KEY", Bytes: key}
		}
		if err := pem.Encode(&out, block); err != nil {
			return nil, true, errCertificate
		}
	}
	return out.Bytes(), true, nil
}

// The forms of RFC 5958 (EncryptedPrivateKeyInfo) and RFC 8018 (PBES2).
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2 struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	kdf   struct {
		Salt       []byte
		Iterations int
		Length     int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

// maxIterations keeps a made-up file from keeping a processor busy for long; files in use have at most a million.
const maxIterations = 2_000_000

// openPKCS8 decrypts a private key by PBES2 with PBKDF2 and AES in CBC mode, which is what openssl and its like write.
func openPKCS8(der []byte, password string) ([]byte, error) {
	unknown := errors.New("its private key is encrypted in a way that is not understood: convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem")
	var (
		outer  encryptedKey
		scheme pbes2
		derive kdf
		iv     []byte
	)
	for _, step := range []struct {
		from func() []byte
		into any
		oid  func() string
		want string
	}{
		{func() []byte { return der }, &outer, func() string { return outer.Algorithm.Algorithm.String() }, "1.2.840.113549.1.5.13"},
		{func() []byte { return outer.Algorithm.Parameters.FullBytes }, &scheme, func() string { return scheme.KDF.Algorithm.String() }, "1.2.840.113549.1.5.12"},
		{func() []byte { return scheme.KDF.Parameters.FullBytes }, &derive, func() string { return "" }, ""},
		{func() []byte { return scheme.Cipher.Parameters.FullBytes }, &iv, func() string { return "" }, ""},
	} {
		if _, err := asn1.Unmarshal(step.from(), step.into); err != nil || step.oid() != step.want {
			return nil, unknown
		}
	}
	size := map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}[scheme.Cipher.Algorithm.String()]
	digest, ok := map[string]func() hash.Hash{"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New,
		"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New}[derive.PRF.Algorithm.String()]
	if size == 0 || !ok || len(iv) != aes.BlockSize || derive.Iterations < 1 || derive.Iterations > maxIterations ||
		len(outer.Data) == 0 || len(outer.Data)%aes.BlockSize != 0 {
		return nil, unknown
	}
	key, err := pbkdf2.Key(digest, password, derive.Salt, derive.Iterations, size)
	if err != nil {
		return nil, unknown
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, unknown
	}
	plain := make([]byte, len(outer.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, outer.Data)
	// The padding, and what is inside of it, say whether the password was right.
	wrong := errors.New("the password does not open its private key")
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, wrong
	}
	plain = plain[:len(plain)-pad]
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(plain, &whole); err != nil || len(rest) > 0 {
		return nil, wrong
	}
	return plain, nil
}
