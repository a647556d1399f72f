//! The tidelog binary: arguments, configuration, wiring.
