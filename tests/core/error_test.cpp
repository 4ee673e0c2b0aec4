#include "adascale/core/error.h"

#include <gtest/gtest.h>

#include <functional>

namespace adascale {
namespace {

std::string message_of(const std::function<void()>& action, Error::Fault expected) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), expected);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(Error, CheckFormatsTheMessageAndBlamesTheUser) {
  const auto text =
      message_of([] { ADA_CHECK(1 == 2, "bits: got {}, expected {}", 1, 2); }, Error::Fault::kUser);
  EXPECT_EQ(text, "bits: got 1, expected 2");
}

TEST(Error, CheckPassesQuietly) {
  EXPECT_NO_THROW(ADA_CHECK(true, "never {}", "shown"));
}

TEST(Error, AssertBlamesUsAndSaysWhere) {
  const auto text = message_of([] { ADA_ASSERT(false, "lost a node"); }, Error::Fault::kInternal);
  EXPECT_NE(text.find("error_test.cpp:"), std::string::npos);
  EXPECT_NE(text.find("lost a node"), std::string::npos);
}

TEST(Error, IsOneLineOfUtf8WhateverNamesItQuotes) {
  const auto said = [](const char* name) {
    return message_of([&] { fail("no '{}'", name); }, Error::Fault::kUser);
  };
  EXPECT_EQ(said("naïve → 𝛼"), "no 'naïve → 𝛼'");
  EXPECT_EQ(said("a\nb\x1b[2J\x7f"), "no 'a\\x0ab\\x1b[2J\\x7f'");
  EXPECT_EQ(said("\xff\xc3"), "no '\\xff\\xc3'");
  EXPECT_EQ(said("\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xc2\x9b"),
            "no '\\xc0\\xaf \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xc2\\x9b'");
  EXPECT_EQ(said("\u2028\u202e\u2066 \u200b"), "no '\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xe2\\x81\\xa6 \u200b'");
}

TEST(Objections, AreRaisedTogetherInOrder) {
  Objections objections;
  EXPECT_NO_THROW(objections.raise());
  objections.add("first {}", 1);
  objections.add("second {}", 2);
  EXPECT_EQ(message_of([&] { objections.raise(); }, Error::Fault::kUser), "first 1; second 2");
}

TEST(Objections, ThoseThatDifferInOneNameAreOne) {
  Objections objections;
  for (int layer = 0; layer < 60; ++layer) objections.add("gguf: layer.{}: got 5, expected 32", layer);
  objections.add("gguf: head: got 7, expected 32");
  objections.add("hf: no folder");
  EXPECT_EQ(message_of([&] { objections.raise(); }, Error::Fault::kUser),
            "gguf: layer.0, layer.1 and 58 more: got 5, expected 32; gguf: head: got 7, expected 32; hf: no "
            "folder");
}

TEST(Objections, ThoseThatDifferInTheirReasonStay) {
  Objections objections;
  for (const char* text : {"a: b: x", "a: b: y", "c: b: x", "a: d: x"}) objections.add("{}", text);
  EXPECT_EQ(message_of([&] { objections.raise(); }, Error::Fault::kUser), "a, c: b: x; a: b: y; a: d: x");
}

TEST(Objections, OneThatTwoChecksRaiseIsSaidOnce) {
  Objections objections;
  objections.add("first");
  objections.gather([] { fail("first"); });
  EXPECT_EQ(message_of([&] { objections.raise(); }, Error::Fault::kUser), "first");
}

TEST(Objections, OfVeryManyTheRestIsCounted) {
  Objections objections;
  for (int i = 0; i < 25; ++i) objections.add("layer {}", i);
  const std::string text = message_of([&] { objections.raise(); }, Error::Fault::kUser);
  EXPECT_TRUE(text.starts_with("layer 0; layer 1; ")) << text;
  EXPECT_TRUE(text.ends_with("layer 19; and 5 more like these")) << text;
}

TEST(FirstLine, CutsAtTheFirstNewline) {
  EXPECT_EQ(first_line("one\ntwo\nthree"), "one");
  EXPECT_EQ(first_line("only"), "only");
  EXPECT_EQ(first_line(""), "");
}

}  // namespace
}  // namespace adascale
