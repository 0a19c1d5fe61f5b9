"""The stand-in for a Matomo or Piwik server, in parts: what it keeps, who asks, each plugin's methods, how it answers."""
