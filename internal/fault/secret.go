package fault

import "strings"

// Hidden is shown in place of a secret.
const Hidden = "(hidden)"

// harmless are words for the tokens of a text, of which nothing is secret.
var harmless = strings.NewReplacer("token_count", "", "token-count", "", "tokenizer", "", "tokens_per", "", "max_tokens", "", "total_tokens", "")

// NamesSecret guesses from the name of a setting, variable or argument that its value is a secret.
func NamesSecret(name string) bool {
	name = harmless.Replace(strings.ToLower(name))
	for _, word := range []string{"token", "secret", "passw", "credential", "api_key", "apikey", "api-key", "access_key", "private_key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
